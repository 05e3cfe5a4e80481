import { crc32, deflateSync } from 'node:zlib';
import type { Mutator } from '../format.ts';
import { littleEndian, mutateBytes, oddNumber, overwritten } from '../mutate-bytes.ts';
import { oddTexts } from '../mutate-text.ts';
import type { Random } from '../random.ts';
import { bytesOf } from './seeds.ts';

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** Changes a PNG file chunk by chunk; lengths and checksums are right again. */
export const mutateChunks: Mutator = (bytes, random) => {
  const chunks = chunksOf(bytes);
  if (chunks.length === 0) return mutateBytes(bytes, random);
  const at = random.below(chunks.length);
  const chunk = chunks[at] ?? { type: 'IEND', data: new Uint8Array() };
  const other = random.pick<() => Chunk[]>([
    () => [],
    () => new Array<Chunk>(random.length(300)).fill(chunk),
    () => [
      {
        type: 'IHDR',
        data: overwritten(header, 4 * random.below(2), number(random.pick([0, 1, 16, 60_000, 2 ** 31]))),
      },
    ],
    () => [{ type: 'IHDR', data: overwritten(header, 8 + random.below(5), [random.below(17)]) }],
    () => [
      {
        type: 'IDAT',
        data: new Uint8Array(deflateSync(new Uint8Array(random.length(1 << 27)), { level: 9 })),
      },
    ],
    () => [
      {
        type: random.pick(['PLTE', 'tRNS', 'acTL', 'fdAT', 'iCCP', 'zTXt', 'pHYs', 'tEXt']),
        data: mutateBytes(chunk.data, random),
      },
    ],
    () => [{ type: random.pick(['tEXt', 'iTXt']), data: oddText(random) }],
    () => [{ ...chunk, data: mutateBytes(chunk.data, random) }],
    () => [{ ...chunk, data: overwritten(chunk.data, 0, littleEndian(oddNumber(random), 4)) }],
  ])();
  return fileOf(chunks.toSpliced(at, random.below(2), ...other));
};

/** A keyword and what stands behind it; either may be odd, or of any length. */
function oddText(random: Random): Uint8Array {
  const odd = (): string => random.pick([...oddTexts, 'k'.repeat(random.length(1 << 19)), 'parameters']);
  return bytesOf(`${odd()}\0${random.pick(['', '\0\0\0\0'])}${odd()}`);
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** 16 × 16 pixels of 8-bit RGB. */
const header = Uint8Array.of(0, 0, 0, 16, 0, 0, 0, 16, 8, 2, 0, 0, 0);

function chunksOf(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > bytes.length) break;
    chunks.push({
      type: new TextDecoder('latin1').decode(bytes.slice(at + 4, at + 8)),
      data: bytes.slice(at + 8, end),
    });
    at = end + 4;
  }
  return chunks;
}

function fileOf(chunks: readonly Chunk[]): Uint8Array {
  const parts = chunks.flatMap(({ type, data }) => {
    const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    return [number(data.length), typed, number(crc32(typed))];
  });
  return new Uint8Array(Buffer.concat([SIGNATURE, ...parts]).subarray(0, 1 << 20));
}

function number(value: number): Uint8Array {
  return littleEndian(BigInt(value), 4).reverse();
}
