import { byteSize, byteWidth, type DType } from './dtype.ts';
import type { Weight } from './weight.ts';

/** The typed array that holds each dtype's elements; floats of 16 and 8 bits as their bits, booleans as 0 and 1. */
const arrays = {
  f64: Float64Array,
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  f8_e4m3: Uint8Array,
  f8_e5m2: Uint8Array,
  i64: BigInt64Array,
  i32: Int32Array,
  i16: Int16Array,
  i8: Int8Array,
  u64: BigUint64Array,
  u32: Uint32Array,
  u16: Uint16Array,
  u8: Uint8Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>;

/** The arrays above over any kind of buffer, shared ones too. */
interface ElementArrays {
  f64: Float64Array;
  f32: Float32Array;
  f16: Uint16Array;
  bf16: Uint16Array;
  f8_e4m3: Uint8Array;
  f8_e5m2: Uint8Array;
  i64: BigInt64Array;
  i32: Int32Array;
  i16: Int16Array;
  i8: Int8Array;
  u64: BigUint64Array;
  u32: Uint32Array;
  u16: Uint16Array;
  u8: Uint8Array;
  bool: Uint8Array;
}

/** A whole tensor in memory, row-major; for inputs, outputs and goldens. `TensorData<'f32'>` is one of a known dtype. */
export type TensorData<D extends DType = DType> = {
  [K in D]: {
    readonly dtype: K;
    readonly shape: readonly number[];
    readonly data: ElementArrays[K];
  };
}[D];

/** A tensor whose elements are the given little-endian bytes, which begin at a multiple of 8 in their buffer. */
export function tensorOf<D extends DType>(
  dtype: D,
  shape: readonly number[],
  bytes: Uint8Array,
): TensorData<D> {
  const Elements: new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayBufferView =
    arrays[dtype];
  const data = new Elements(bytes.buffer, bytes.byteOffset, bytes.byteLength / byteWidth(dtype));
  // as: the compiler does not follow that arrays[dtype] makes the array of TensorData<dtype>.
  return { dtype, shape, data } as TensorData<D>;
}

/** The elements of a tensor as little-endian bytes: a view, not a copy. */
export function bytesOf({ data }: Pick<TensorData, 'data'>): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A tensor with the same elements in a buffer of its own. */
export function copyOf(tensor: TensorData): TensorData {
  return tensorOf(tensor.dtype, tensor.shape, bytesOf(tensor).slice());
}

/** A tensor's rows (its parts along the first dimension) of these numbers, in this order: a copy. */
export function pickRows<D extends DType>(tensor: TensorData<D>, rows: readonly number[]): TensorData<D> {
  const { dtype, shape } = tensor;
  const size = byteSize(shape.slice(1), dtype);
  const source = bytesOf(tensor);
  const bytes = new Uint8Array(rows.length * size);
  for (const [to, row] of rows.entries()) bytes.set(source.subarray(row * size, (row + 1) * size), to * size);
  return tensorOf(dtype, [rows.length, ...shape.slice(1)], bytes);
}

/** The rows of tensors of one dtype and row shape, one after another: a copy. */
export function joinRows<D extends DType>(
  first: TensorData<D>,
  ...others: readonly TensorData<D>[]
): TensorData<D> {
  const parts = [first, ...others];
  const bytes = new Uint8Array(parts.reduce((sum, { data }) => sum + data.byteLength, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(bytesOf(part), position);
    position += part.data.byteLength;
  }
  const rows = parts.reduce((sum, { shape: [count = 0] }) => sum + count, 0);
  return tensorOf(first.dtype, [rows, ...first.shape.slice(1)], bytes);
}

/** Reads a whole weight into memory, converted to `dtype`. Throws what its `stream` throws. */
export async function readTensor<D extends DType>(weight: Weight, dtype: D): Promise<TensorData<D>> {
  const bytes = new Uint8Array(byteSize(weight.shape, dtype));
  let filled = 0;
  for await (const block of weight.stream(dtype)) {
    bytes.set(block, filled);
    filled += block.length;
  }
  return tensorOf(dtype, weight.shape, bytes);
}
