import { float16Bits } from '../../../weights/convert-dtype.ts';
import { elementCount } from '../../../weights/dtype.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import { type MilDType, milElement } from './mil-dtype.ts';
import { type Elements, writeElements } from './mil-elements.ts';
import type { NamedValueType, Value, ValueType } from './mil-schema.ts';

/** A value that is written where it is used: element type, shape ([] is a scalar) and elements in row-major order. */
export interface Literal {
  readonly dtype: MilDType;
  readonly shape: readonly number[];
  readonly data: Elements;
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

/** The type of a tensor of fixed size. Equal types are one object, which nobody may change: thousands of values have the same. */
export function tensorType(dtype: MilDType, shape: readonly number[]): ValueType {
  const key = `${dtype} ${shape}`;
  const known = tensorTypes.get(key);
  if (known) return known;
  const dimensions = shape.map((size) => ({ constant: { size } }));
  const type = {
    tensorType: { dataType: milElement(dtype).code, rank: shape.length, dimensions, attributes: {} },
  };
  tensorTypes.set(key, type);
  return type;
}

const tensorTypes = new Map<string, ValueType>();

export function namedType(name: string, dtype: MilDType, shape: readonly number[]): NamedValueType {
  return { name, type: tensorType(dtype, shape) };
}

/** A value that stands in the program itself. */
export function immediate({ dtype, shape, data }: Literal): Value {
  const tensor = writeElements(dtype, data);
  if (!tensor || data.length !== elementCount(shape)) throw new Error(`${data} are not ${dtype} [${shape}]`);
  return { docString: '', type: tensorType(dtype, shape), immediateValue: { tensor } };
}

/** A value whose bytes come when it is written. */
export function streamed(dtype: MilDType, shape: readonly number[], streamedValue: TensorStream): Value {
  return { docString: '', type: tensorType(dtype, shape), streamedValue };
}

/** Bytes of a tensor in a weight file: elements narrower than a byte are packed. */
export function packedByteSize(dtype: MilDType, shape: readonly number[]): number {
  return Math.ceil((elementCount(shape) * milElement(dtype).bits) / 8);
}

/** The elements of a literal of fractions as the little-endian bytes of a blob. */
export function literalBytes({ dtype, data }: Literal): Uint8Array {
  const numbers = data.map(Number);
  const array = dtype === 'fp16' ? Uint16Array.from(numbers, float16Bits) : Float32Array.from(numbers);
  return new Uint8Array(array.buffer);
}
