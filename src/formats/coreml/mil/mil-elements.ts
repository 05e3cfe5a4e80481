import { float16Bits, float16Value } from '../../../weights/convert-dtype.ts';
import { type MilDType, milElement } from './mil-dtype.ts';
import type { TensorValue } from './mil-schema.ts';

/** The elements of a tensor that stands in a program, in row-major order. */
export type Elements = readonly (number | boolean | string)[];

/**
 * The elements of a tensor value; `undefined` when it does not hold exactly `count` elements in the field that Core ML
 * reads for the dtype, or holds integers beyond 2^53.
 */
export function readElements(dtype: MilDType, count: number, value: TensorValue): Elements | undefined {
  const { immediate: field, bits } = milElement(dtype);
  const values = value[field]?.values;
  if (values === undefined) return undefined;
  if (values instanceof Uint8Array) {
    return values.length === Math.ceil((count * bits) / 8) ? unpack(dtype, values, count) : undefined;
  }
  if (values.length !== count) return undefined;
  return field !== 'longInts' || values.every(Number.isSafeInteger) ? values : undefined;
}

/** The tensor value of some elements; `undefined` when one of them does not fit the dtype. */
export function writeElements(dtype: MilDType, elements: Elements): TensorValue | undefined {
  if (!elements.every((element) => fits(dtype, element))) return undefined;
  const { immediate: field } = milElement(dtype);
  if (field === 'bools') return { bools: { values: elements.map(Boolean) } };
  if (field === 'strings') return { strings: { values: elements.map(String) } };
  if (field === 'bytes') return { bytes: { values: pack(dtype, elements) } };
  if (field === 'floats')
    return { floats: { values: elements.map((element) => Math.fround(Number(element))) } };
  return { [field]: { values: elements.map(Number) } };
}

function fits(dtype: MilDType, element: number | boolean | string): boolean {
  if (dtype === 'bool') return typeof element === 'boolean';
  if (dtype === 'string') return typeof element === 'string';
  if (typeof element !== 'number') return false;
  if (isFraction(dtype)) return true;
  const { bits } = milElement(dtype);
  const least = isSigned(dtype) ? -(2 ** (bits - 1)) : 0;
  return Number.isSafeInteger(element) && element >= least && element < least + 2 ** bits;
}

/** Bytes are one stream of bits from the lowest bit of the first byte on; elements may straddle two bytes. */
function unpack(dtype: MilDType, bytes: Uint8Array, count: number): number[] {
  const { bits } = milElement(dtype);
  return Array.from({ length: count }, (_, index) => {
    let pattern = 0;
    for (let got = 0; got < bits; ) {
      const at = index * bits + got;
      const take = Math.min(8 - (at % 8), bits - got);
      const byte = bytes[Math.floor(at / 8)] ?? 0;
      pattern += ((byte >> (at % 8)) & ((1 << take) - 1)) * 2 ** got;
      got += take;
    }
    return fromPattern(dtype, bits, pattern);
  });
}

function pack(dtype: MilDType, elements: Elements): Uint8Array {
  const { bits } = milElement(dtype);
  const bytes = new Uint8Array(Math.ceil((elements.length * bits) / 8));
  elements.forEach((element, index) => {
    const pattern = toPattern(dtype, bits, Number(element));
    for (let put = 0; put < bits; ) {
      const at = index * bits + put;
      const take = Math.min(8 - (at % 8), bits - put);
      const part = Math.floor(pattern / 2 ** put) % 2 ** take;
      const byte = Math.floor(at / 8);
      bytes[byte] = (bytes[byte] ?? 0) | (part << (at % 8));
      put += take;
    }
  });
  return bytes;
}

function fromPattern(dtype: MilDType, bits: number, pattern: number): number {
  if (dtype === 'fp16') return float16Value(pattern);
  if (dtype === 'bf16') return bfloat16Value(pattern);
  return isSigned(dtype) && pattern >= 2 ** (bits - 1) ? pattern - 2 ** bits : pattern;
}

function toPattern(dtype: MilDType, bits: number, value: number): number {
  if (dtype === 'fp16') return float16Bits(value);
  if (dtype === 'bf16') return bfloat16Bits(value);
  return value < 0 ? value + 2 ** bits : value;
}

/** A bfloat16 is the upper half of a float32. */
function bfloat16Value(pattern: number): number {
  scratchBits[0] = pattern * 2 ** 16;
  return scratch[0] ?? 0;
}

function bfloat16Bits(value: number): number {
  scratch[0] = value;
  return (scratchBits[0] ?? 0) >>> 16;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** Whether elements of this type are fractions. */
export function isFraction(dtype: MilDType): boolean {
  return dtype === 'fp16' || dtype === 'fp32' || dtype === 'fp64' || dtype === 'bf16';
}

function isSigned(dtype: MilDType): boolean {
  return dtype.startsWith('int');
}
