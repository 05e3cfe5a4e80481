import { FileFormatError } from '../../errors.ts';
import { provenanceSchema } from '../../formats/provenance.ts';
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
