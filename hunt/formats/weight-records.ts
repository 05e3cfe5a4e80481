import type { Mutator } from '../format.ts';
import { littleEndian, mutateBytes, oddNumber, overwritten, spliced } from '../mutate-bytes.ts';

const RECORD_BYTES = 64;
const SENTINEL = 0xdeadbeef;
/** Offsets of a record's numbers: mark, type, size, place, bits that are not used. */
const fields: readonly (readonly [offset: number, width: number])[] = [
  [0, 4],
  [4, 4],
  [8, 8],
  [16, 8],
  [24, 8],
];

/** Changes the records of a weight file (coremltools, MILBlob/Blob/StorageFormat.hpp), its header, or what lies between. */
export const mutateRecords: Mutator = (bytes, random) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records = [];
  for (let at = RECORD_BYTES; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES)
    if (view.getUint32(at, true) === SENTINEL) records.push(at);
  if (records.length === 0) return mutateBytes(bytes, random);
  const record = random.pick([0, ...records]);
  switch (random.below(4)) {
    case 0:
      return overwritten(bytes, record, bytes.slice(random.pick(records)).subarray(0, RECORD_BYTES));
    case 1:
      return spliced(bytes, record, record + RECORD_BYTES * random.below(3));
    default: {
      const [offset, width] = random.pick(fields);
      return overwritten(bytes, record + offset, littleEndian(oddNumber(random), width));
    }
  }
};
