import { join } from 'node:path';
import type { Context } from '../../context.ts';
import { FileFormatError } from '../../errors.ts';
import { Identities } from '../identities.ts';
import { HASHES_FILE, KnownHashes } from '../known-hashes.ts';
import type { StepJob } from './step-job.ts';
import type { WorkerSite } from './step-site.ts';

/**
 * Throws `FileFormatError` where an item's models on the disk are no longer those that were submitted: their result would be
 * another one under the same id. What has not been touched since it was last hashed here is not read again.
 */
export async function refuseChanged(
  { item, contents }: StepJob,
  site: WorkerSite,
  context: Context,
): Promise<void> {
  if (contents === undefined) return;
  const hashes = await KnownHashes.open(join(site.folder, HASHES_FILE));
  const found = await new Identities(site.hub, hashes, context).contentsOf(item);
  await hashes.save(context);
  if (found === contents) return;
  throw new FileFormatError({
    problem: `${item.models.modelVersion}, or a model that is converted with it, has changed since ${item.name} was submitted.`,
    advice: 'Submit the manifest again.',
  });
}
