import { join } from 'node:path';
import { FileFormatError } from '../../errors.ts';
import { damagedFiles, type HashFile } from '../../formats/damage.ts';
import { provenanceSchema, readProvenance } from '../../formats/provenance.ts';
import { type Finished, finishedIn } from '../finished.ts';
import type { IdentifiedItem } from '../item.ts';
import { parsed, RECORD, type Store } from './store.ts';

/** An item's whole result in a store; `undefined` where it is not there, or another one is. Throws `FileFormatError` for a record that is not ours. */
export async function storedResult(
  store: Pick<Store, 'address' | 'recordOf'>,
  item: IdentifiedItem,
): Promise<Finished | undefined> {
  const text = await store.recordOf(item.name);
  if (text === undefined) return undefined;
  const { data } = provenanceSchema.safeParse(parsed(text));
  if (data) return finishedIn(data, item);
  throw new FileFormatError({
    problem: `${store.address}/${item.name}/${RECORD} is not as sdconvert writes it.`,
    advice: 'Remove that result, and submit it again.',
  });
}

/**
 * Throws `FileFormatError` where the files of a result, which are in this folder now, are not those on record: its `place` may have
 * changed them since they were put there.
 */
export async function refuseDamaged(folder: string, place: string, hash: HashFile): Promise<void> {
  const { artifacts = {} } = (await readProvenance(folder)) ?? {};
  for (const [path, { files }] of Object.entries(artifacts))
    for await (const { name, problem } of damagedFiles(join(folder, path), files, { hash, since: 0 }))
      throw new FileFormatError({
        problem: `${place}/${path}/${name} is ${problem === 'missing' ? 'missing' : 'not the file that was put there'}.`,
        advice: 'Pass --force to sdconvert submit to have it made again.',
      });
}
