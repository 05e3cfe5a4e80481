import type { DType } from '../../../weights/dtype.ts';

/** The dtypes as onnxruntime's JavaScript spells them, in Node and in browsers; it has no bfloat16. */
const ortTypes = {
  f64: 'float64',
  f32: 'float32',
  f16: 'float16',
  i64: 'int64',
  i32: 'int32',
  i16: 'int16',
  i8: 'int8',
  u64: 'uint64',
  u32: 'uint32',
  u16: 'uint16',
  u8: 'uint8',
  bool: 'bool',
} as const satisfies Partial<Record<DType, string>>;

/**
 * onnxruntime's name of a dtype, for the constructor of its tensors: that is overloaded by type, and takes with each the array that
 * `TensorData` has of it, which the compiler does not follow. A dtype that it lacks gives undefined, which onnxruntime refuses.
 */
export function ortTypeOf(dtype: DType): 'float32' {
  return ortTypes[dtype as keyof typeof ortTypes] as 'float32'; // as: see above
}

/** The dtype that onnxruntime calls `type`; `undefined` where there is none. */
export function dtypeOfOrtType(type: string): DType | undefined {
  // as: Object.entries gives strings; the table's keys are dtypes.
  return Object.entries(ortTypes).find(([, ortType]) => ortType === type)?.[0] as DType | undefined;
}

/** The same. Throws `Error`, naming the tensor, where there is none. */
export function dtypeOfOrt(name: string, type: string): DType {
  const dtype = dtypeOfOrtType(type);
  if (!dtype) throw new Error(`${name} holds ${type}, which sdconvert does not know`);
  return dtype;
}
