/** The element types a tensor can have. Each file format's own spelling lives in that format's reader or writer. */
const byteWidths = {
  f64: 8,
  f32: 4,
  f16: 2,
  bf16: 2,
  f8_e4m3: 1,
  f8_e5m2: 1,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u64: 8,
  u32: 4,
  u16: 2,
  u8: 1,
  bool: 1,
} as const;

/** Element type of a tensor. The 8-bit floats are of checkpoints only: no graph computes with them. */
export type DType = keyof typeof byteWidths;

/** Every dtype. */
// as: Object.keys gives strings; the table's keys are dtypes.
export const dtypes = Object.keys(byteWidths) as readonly DType[];

/** Bytes of one element. */
export function byteWidth(dtype: DType): number {
  return byteWidths[dtype];
}

/** An element type in full: `f16` and Core ML's `fp16` are `float16`. */
export function dtypeName(dtype: string): string {
  return dtype
    .replace(/^(b?)fp?(?=\d)/, '$1float')
    .replace(/^u(?=\d)/, 'uint')
    .replace(/^i(?=\d)/, 'int');
}

/** The element types that hold fractions. */
export function isFloat(dtype: DType): boolean {
  return /^b?f\d/.test(dtype); // f32, bf16, f8_e4m3
}

/** Number of elements in a tensor of this shape; 1 for a scalar (`[]`). */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** Size in bytes of a tensor of this shape and dtype. */
export function byteSize(shape: readonly number[], dtype: DType): number {
  return elementCount(shape) * byteWidth(dtype);
}
