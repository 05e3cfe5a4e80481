import type { DType } from '../../../weights/dtype.ts';
import type { TensorValue } from './mil-schema.ts';

interface MilElement {
  /** `TensorType.dataType` (enum DataType in MIL.proto). */
  readonly code: number;
  /** Bits of one element in a blob file or in `bytes`. */
  readonly bits: number;
  /** The field of `TensorValue` that holds elements of this type. */
  readonly immediate: keyof TensorValue;
  /** The code of the type in a blob file, for types that can be there. */
  readonly blob?: number;
  /** `ArrayFeatureType.dataType` (enum ArrayDataType in FeatureTypes.proto), for types that inputs and outputs can have. */
  readonly array?: number;
}

/** Core ML's element types, by the names that `cast` and MIL's text form use. */
export const milDTypes = {
  bool: { code: 1, bits: 8, immediate: 'bools' },
  string: { code: 2, bits: 0, immediate: 'strings' },
  fp16: { code: 10, bits: 16, immediate: 'bytes', blob: 1, array: 0x10010 },
  fp32: { code: 11, bits: 32, immediate: 'floats', blob: 2, array: 0x10020 },
  fp64: { code: 12, bits: 64, immediate: 'doubles', array: 0x10040 },
  bf16: { code: 13, bits: 16, immediate: 'bytes', blob: 5 },
  int8: { code: 21, bits: 8, immediate: 'bytes', blob: 4, array: 0x20008 },
  int16: { code: 22, bits: 16, immediate: 'ints', blob: 6 },
  int32: { code: 23, bits: 32, immediate: 'ints', blob: 14, array: 0x20020 },
  int64: { code: 24, bits: 64, immediate: 'longInts' },
  int4: { code: 25, bits: 4, immediate: 'bytes', blob: 8 },
  uint8: { code: 31, bits: 8, immediate: 'bytes', blob: 3 },
  uint16: { code: 32, bits: 16, immediate: 'ints', blob: 7 },
  uint32: { code: 33, bits: 32, immediate: 'bytes', blob: 15 },
  uint64: { code: 34, bits: 64, immediate: 'longInts' },
  uint4: { code: 35, bits: 4, immediate: 'bytes', blob: 11 },
  uint2: { code: 36, bits: 2, immediate: 'bytes', blob: 10 },
  uint1: { code: 37, bits: 1, immediate: 'bytes', blob: 9 },
  uint6: { code: 38, bits: 6, immediate: 'bytes', blob: 13 },
  uint3: { code: 39, bits: 3, immediate: 'bytes', blob: 12 },
} as const satisfies Readonly<Record<string, MilElement>>;

/** A Core ML element type, e.g. `fp16`. */
export type MilDType = keyof typeof milDTypes;

/** All that is known of an element type. */
export function milElement(dtype: MilDType): MilElement {
  return milDTypes[dtype];
}

/** The element type of a `TensorType.dataType`; `undefined` for a code that is not known. */
export function milDTypeOf(code: number): MilDType | undefined {
  return milNames.get(code);
}

// Object.keys gives strings; the table above has exactly these keys.
const milNames = new Map(
  (Object.keys(milDTypes) as MilDType[]).map((name) => [milDTypes[name].code as number, name]),
);

/** Core ML's counterpart of an element type. Core ML computes with no 64-bit integers: token ids and positions become int32. */
export function toMilDType(dtype: DType): MilDType {
  const name = counterparts[dtype];
  if (!name) throw new Error(`Core ML has no tensors of ${dtype}`);
  return name;
}

const counterparts: { readonly [D in DType]?: MilDType } = {
  f16: 'fp16',
  f32: 'fp32',
  i32: 'int32',
  i64: 'int32',
  bool: 'bool',
};
