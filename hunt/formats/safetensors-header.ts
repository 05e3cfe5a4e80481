import type { Mutator } from '../format.ts';
import { littleEndian, mutateBytes, oddNumber, overwritten } from '../mutate-bytes.ts';
import { mutateJson } from '../mutate-json.ts';

/** Changes a safetensors file by its parts: the length, the JSON, the data. The length is right again, but for one in eight. */
export const mutateHeader: Mutator = (bytes, random) => {
  if (bytes.length < 8) return mutateBytes(bytes, random);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (random.oneIn(16)) return overwritten(bytes, 0, littleEndian(oddNumber(random), 8));
  const [json, data] = [bytes.subarray(8, 8 + length), bytes.subarray(8 + length)];
  const inHeader = !random.oneIn(6);
  const header = inHeader ? mutateJson(json, random) : json;
  const said = random.oneIn(8) ? length : header.length;
  return new Uint8Array(
    Buffer.concat([littleEndian(BigInt(said), 8), header, inHeader ? data : mutateBytes(data, random)]),
  );
};
