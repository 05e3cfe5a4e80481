import type { ByteSource } from '../io/bytes.ts';
import { byteWidth, type DType } from './dtype.ts';
import { type StoredTensor, streamTensor } from './stream-tensor.ts';

/** A tensor whose neighbours are not neighbours in the file (it was saved transposed, or channels last). */
export interface StridedTensor extends Omit<StoredTensor, 'read'> {
  /** Stride of each axis, in elements. */
  readonly strides: readonly number[];
  /** Its first byte in the file. */
  readonly offset: number;
  /** Number of elements from its first to its last. */
  readonly extent: number;
}

/** Streams a strided tensor in row-major order. All between its first element and its last is in memory meanwhile. */
export async function* streamStrided(
  tensor: StridedTensor,
  source: ByteSource,
  to: DType,
): AsyncGenerator<Uint8Array> {
  const { shape, strides, offset, extent, dtype } = tensor;
  const stored = new Uint8Array(extent * byteWidth(dtype));
  await source.read(stored, offset);
  const read = async (into: Uint8Array, first: number) => {
    gather(stored, into, byteWidth(dtype), shape, strides, first);
  };
  yield* streamTensor({ ...tensor, read }, to);
}

/** Fills `into` with the elements from `first` on, counted in row-major order; `width` is that of one in bytes. */
function gather(
  stored: Uint8Array,
  into: Uint8Array,
  width: number,
  shape: readonly number[],
  strides: readonly number[],
  first: number,
): void {
  const words = width / Math.min(width, 4); // elements of 8 bytes are copied as two words
  const source = wordsOf(stored, width);
  const target = wordsOf(into, width);
  const rowLength = shape.at(-1) ?? 1;
  const step = (strides.at(-1) ?? 1) * words;
  let column = first % rowLength;
  let row = (first - column) / rowLength;
  for (let to = 0; to < target.length; column = 0, row++) {
    const end = Math.min(to + (rowLength - column) * words, target.length);
    let from = rowStart(row, shape, strides) * words + column * step;
    for (; to < end; to += words, from += step)
      for (let word = 0; word < words; word++) target[to + word] = source[from + word] ?? 0;
  }
}

function wordsOf(
  { buffer, byteOffset, byteLength }: Uint8Array,
  width: number,
): Uint8Array | Uint16Array | Uint32Array {
  if (width === 1) return new Uint8Array(buffer, byteOffset, byteLength);
  if (width === 2) return new Uint16Array(buffer, byteOffset, byteLength / 2);
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}

/** Start of a row (all axes but the last). */
function rowStart(row: number, shape: readonly number[], strides: readonly number[]): number {
  let start = 0;
  let rest = row;
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    const size = shape[axis] ?? 1;
    start += (rest % size) * (strides[axis] ?? 0);
    rest = Math.floor(rest / size);
  }
  return start;
}
