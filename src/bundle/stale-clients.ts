import { join } from 'node:path';
import type { Context } from '../context.ts';
import { targetOf } from '../formats/format.ts';
import { type PlaceInOutput, readProvenance } from '../formats/provenance.ts';
import { nextCommand } from '../inspect/next-command.ts';
import { clientNames } from './profiles/profile.ts';
import { profiles, usualClients } from './profiles/profiles.ts';

/**
 * Notes the folders of clients that still hold a changed artifact as it was: they are made from the artifacts of their
 * target, and `bundle --for` makes them again. The usual clients' folders are the artifacts' own, or are kept in step.
 */
export async function noteStaleClients(
  { output, path }: PlaceInOutput,
  { onProgress }: Pick<Context, 'onProgress'>,
): Promise<void> {
  const recorded = Object.keys((await readProvenance(output))?.artifacts ?? {});
  const target = targetOf(path);
  for (const client of clientNames) {
    const { folder, target: loaded } = profiles[client];
    const isIn = (each: string) => each === folder || each.startsWith(`${folder}/`);
    const isUsual = folder === profiles[usualClients[target]].folder;
    if (loaded !== target || isUsual || isIn(path) || !recorded.some(isIn)) continue;
    const { command } = nextCommand('bundle', output, '--for', client);
    const message = `${join(output, folder)} still holds the model as it was: ${command} makes it again.`;
    onProgress?.({ type: 'note', message });
  }
}
