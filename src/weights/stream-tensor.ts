import { UnsupportedModelError } from '../errors.ts';
import { borrowBlock, returnBlocks } from '../io/block-pool.ts';
import { BLOCK_BYTES, type ByteSource } from '../io/bytes.ts';
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

  const elements = elementCount(tensor.shape);
  const perBlock = BLOCK_BYTES / Math.max(byteWidth(from), byteWidth(to));
  const output = from === to ? undefined : borrowBlock();
  // One block is given away while the next one is read.
  let [free, taken] = [borrowBlock(), borrowBlock()];
  const read = (first: number): Promise<Uint8Array> => {
    const block = free.subarray(0, Math.min(perBlock, elements - first) * byteWidth(from));
    [free, taken] = [taken, free];
    const reading = tensor.read(block, first).then(() => block);
    reading.catch(() => {}); // thrown where it is awaited, which may be later
    return reading;
  };
  let reading = read(0);
  try {
    for (let first = 0; first < elements; first += perBlock) {
      const block = await reading;
      if (first + perBlock < elements) reading = read(first + perBlock);
      const converted = output?.subarray(0, (block.length / byteWidth(from)) * byteWidth(to)) ?? block;
      if (output) convert(block, converted);
      yield converted;
    }
  } finally {
    await Promise.allSettled([reading]); // a consumer that stops early leaves no block behind that is still written to
    returnBlocks(free, taken, ...(output ? [output] : []));
  }
}

function notConvertible({ name, dtype, file }: StoredTensor, to: DType): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${name} is stored as ${dtype}, which does not convert to ${to}.`,
    details: { file },
    advice: 'Use a version of the model whose weights are float16, bfloat16 or float32.',
  });
}
