import { removeWritten } from '../bundle/remove-written.ts';
import type { ConvertResult } from '../commands/conversion/request.ts';
import { OutputExistsError } from '../errors.ts';
import { readProvenance, updateProvenance } from '../formats/provenance.ts';
import { whileLocked } from '../io/disk.ts';
import type { IdentifiedItem } from './item.ts';

const advice = 'Pass --force to replace them, or give the manifest another output.';

/** Throws `OutputExistsError` where an item's folder is the finished result of another item: of other models or options. */
export async function refuseOtherItem({ id, name, output }: IdentifiedItem): Promise<void> {
  const other = (await readProvenance(output))?.item;
  if (other === undefined || other.id === id) return;
  throw new OutputExistsError({
    problem: `${output} holds the finished results of another item than ${name}: of other models, options or version.`,
    advice,
  });
}

/**
 * Sees to it that what is on record in an item's folder is the item's alone: what else is there is removed with `force`, and is
 * an `OutputExistsError` without.
 */
export async function requireOwn(
  { name, output }: IdentifiedItem,
  { artifacts, bundled }: Pick<ConvertResult, 'artifacts' | 'bundled'>,
  force: boolean,
): Promise<void> {
  const own = [...artifacts.map(({ path }) => path), ...bundled];
  const isOwn = (path: string) => own.some((each) => each === path || each.startsWith(`${path}/`));
  const { artifacts: recorded = {}, pending = [] } = (await readProvenance(output)) ?? {};
  const others = [...Object.keys(recorded), ...pending].filter((path) => !isOwn(path));
  if (others.length === 0) return;
  if (!force)
    throw new OutputExistsError({
      problem: `${output} also holds what is no part of ${name}: ${others.join(', ')}.`,
      advice,
    });
  await whileLocked(output, async () => {
    await removeWritten(output, others);
    await updateProvenance(output, { gone: others });
  });
}
