import { float16Bits } from '../../weights/convert-dtype.ts';
import { type MilDType, milElement } from './mil-dtype.ts';
import type { NamedValueType, TensorValue, Value, ValueType } from './mil-schema.ts';

/** A value that is written where it is used: element type, shape ([] is a scalar) and elements in row-major order. */
export interface Literal {
  readonly dtype: MilDType;
  readonly shape: readonly number[];
  readonly data: readonly (number | boolean | string)[];
}

export function int32(value: number): Literal {
  return { dtype: 'int32', shape: [], data: [value] };
}

export function int32s(values: readonly number[]): Literal {
  return { dtype: 'int32', shape: [values.length], data: values };
}

export function bool(value: boolean): Literal {
  return { dtype: 'bool', shape: [], data: [value] };
}

export function text(value: string): Literal {
  return { dtype: 'string', shape: [], data: [value] };
}

/** A fraction as fp16 or fp32, rounded to nearest. */
export function fraction(dtype: MilDType, value: number): Literal {
  return { dtype, shape: [], data: [value] };
}

/** `value`, `count` times: [count]. */
export function filled(dtype: MilDType, count: number, value: number): Literal {
  return { dtype, shape: [count], data: Array(count).fill(value) };
}

/** The type of a tensor of fixed size. */
export function tensorType(dtype: MilDType, shape: readonly number[]): ValueType {
  const dimensions = shape.map((size) => ({ constant: { size } }));
  return { tensorType: { dataType: milElement(dtype).code, rank: shape.length, dimensions, attributes: {} } };
}

export function namedType(name: string, dtype: MilDType, shape: readonly number[]): NamedValueType {
  return { name, type: tensorType(dtype, shape) };
}

/** A value that stands in the program itself. */
export function immediate(literal: Literal): Value {
  const type = tensorType(literal.dtype, literal.shape);
  return { docString: '', type, immediateValue: { tensor: elements(literal) } };
}

/** A value that lies in a blob file: the record at `offset`. */
export function blob(dtype: MilDType, shape: readonly number[], fileName: string, offset: number): Value {
  return { docString: '', type: tensorType(dtype, shape), blobFileValue: { fileName, offset } };
}

/** The elements of a literal as the little-endian bytes of a blob; fp16 and fp32 only. */
export function literalBytes({ dtype, data }: Literal): Uint8Array {
  const array = dtype === 'fp16' ? float16s(data) : Float32Array.from(data, Number);
  return new Uint8Array(array.buffer);
}

/** The field of a `TensorValue` that Core ML reads for each element type (facts of MIL.proto's readers: 16-bit integers are not bytes, float16 is). */
function elements(literal: Literal): TensorValue {
  const { dtype, data } = literal;
  const { immediate: field } = milElement(dtype);
  switch (field) {
    case 'floats':
    case 'ints':
      return { [field]: { values: data.map(Number) } };
    case 'bools':
      return { bools: { values: data.map(Boolean) } };
    case 'strings':
      return { strings: { values: data.map(String) } };
    default:
      if (dtype !== 'fp16') throw new Error(`no literals of ${dtype} are written`);
      return { bytes: { values: literalBytes(literal) } };
  }
}

function float16s(data: Literal['data']): Uint16Array {
  return Uint16Array.from(data, (value) => float16Bits(Number(value)));
}
