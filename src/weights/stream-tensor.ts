import { UnsupportedModelError } from '../errors.ts';
import { borrowBlock, returnBlocks } from '../io/block-pool.ts';
import { BLOCK_BYTES, type ByteSource } from '../io/bytes.ts';
import { readAhead } from '../io/stream-bytes.ts';
import { blockConverter } from './convert-dtype.ts';
import { byteWidth, type DType, elementCount } from './dtype.ts';
import type { Weight } from './weight.ts';

/** A tensor in a file, and how to read it as it is stored. */
export interface StoredTensor extends Omit<Weight, 'stream'> {
  /** Fills `into` with elements in row-major order, as little-endian bytes of `dtype`, beginning with element `first`. */
  read(into: Uint8Array, first: number): Promise<void>;
}

/** The reader of a tensor whose elements lie in row-major order, one after another, from `offset`. */
export function readAt(source: ByteSource, offset: number, dtype: DType): StoredTensor['read'] {
  return (into, first) => source.read(into, offset + first * byteWidth(dtype));
}

/** A tensor's elements as a `Weight` streams them. Throws `UnsupportedModelError` where its dtype does not convert to `to`. */
export async function* streamTensor(tensor: StoredTensor, to: DType): AsyncGenerator<Uint8Array> {
  const from = tensor.dtype;
  const convert = blockConverter(from, to);
  if (!convert) throw notConvertible(tensor, to);

  const [width, widthTo] = [byteWidth(from), byteWidth(to)];
  const most = (BLOCK_BYTES / Math.max(width, widthTo)) * width;
  const read = (into: Uint8Array, at: number) => tensor.read(into, at / width);
  const blocks = readAhead(elementCount(tensor.shape) * width, read, most);
  if (from === to) return yield* blocks;
  const output = borrowBlock();
  try {
    for await (const block of blocks) {
      const converted = output.subarray(0, (block.length / width) * widthTo);
      convert(block, converted);
      yield converted;
    }
  } finally {
    returnBlocks(output);
  }
}

function notConvertible({ name, dtype, file }: StoredTensor, to: DType): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${name} is stored as ${dtype}, which does not convert to ${to}.`,
    details: { file },
    advice: 'Use a version of the model whose weights are float16, bfloat16 or float32.',
  });
}
