import type { Mutator } from '../format.ts';
import { littleEndian, mutateBytes, oddNumber, overwritten } from '../mutate-bytes.ts';
import { mutateProtobuf } from '../mutate-protobuf.ts';

const LENGTH_AT = 0x4b;
const HEADER_BYTES = 0x53;

/** Changes a compiled model's container: its description as a message, whose length is right again, or numbers of its header. */
export const mutateContainer: Mutator = (bytes, random) => {
  if (bytes.length < HEADER_BYTES) return mutateBytes(bytes, random);
  if (random.oneIn(4))
    return overwritten(
      bytes,
      4 * random.below(HEADER_BYTES / 4),
      littleEndian(oddNumber(random), random.pick([4, 8])),
    );
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(LENGTH_AT, true));
  const description = mutateProtobuf(bytes.slice(HEADER_BYTES, HEADER_BYTES + length), random);
  const header = overwritten(
    bytes.subarray(0, HEADER_BYTES),
    LENGTH_AT,
    littleEndian(BigInt(description.length), 8),
  );
  return new Uint8Array(Buffer.concat([header, description, bytes.subarray(HEADER_BYTES + length)]));
};
