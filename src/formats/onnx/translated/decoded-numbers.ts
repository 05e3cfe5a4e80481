import { blockConverter } from '../../../weights/convert-dtype.ts';
import { elementCount } from '../../../weights/dtype.ts';
import { bytesOf } from '../../../weights/tensor-data.ts';

/** The arithmetic of compressed weights, as Core ML and Core AI define it alike: palettes, and scaled whole numbers in blocks. */

/**
 * Integers as they are stored, those of less than a byte one a byte; fractions, integers of 64 bits and what stands in a program
 * as floats.
 */
export type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** Numbers in row-major order. */
export interface Shaped {
  readonly shape: readonly number[];
  readonly data: Numbers;
}

/** Longest vectors that an index of a palette stands for; coremltools writes 2 and 4. */
export const LONGEST_VECTOR = 16;

/**
 * Palettes [groups of each axis…, entries, V]: each index stands for V numbers, which lie behind each other on `axis`, the last
 * if it is −1. Throws `Error` for more than `most` results.
 */
export function lookUp({ shape, data }: Shaped, lut: Shaped, axis: number, most: number): Float32Array {
  const [entries = 1, length = 1] = lut.shape.slice(-2);
  if (length > LONGEST_VECTOR) throw new Error(`an index stands for ${length} numbers`);
  if (data.length * length > most) throw new Error(`${data.length * length} elements are more than declared`);
  const groupOf = blocks(shape, lut.shape.slice(0, -2));
  const at = axis < 0 ? axis + shape.length : axis;
  const inner = elementCount(shape.slice(at + 1));
  const found = new Float32Array(data.length * length);
  for (let index = 0; index < data.length; index++) {
    const vector = (groupOf(index) * entries + (data[index] ?? 0)) * length;
    const start = Math.floor(index / inner) * length * inner + (index % inner);
    for (let part = 0; part < length; part++) found[start + part * inner] = lut.data[vector + part] ?? 0;
  }
  return found;
}

/** (data − offset) · scale, where each block of the data has one scale and, if any, one offset. */
export function shiftAndScale(
  { shape, data }: Shaped,
  scale: Shaped,
  offset: Shaped | undefined,
): Float32Array {
  const blockOf = blocks(shape, scale.shape);
  const result = new Float32Array(data.length);
  for (let index = 0; index < data.length; index++) {
    const block = blockOf(index);
    result[index] = ((data[index] ?? 0) - (offset?.data[block] ?? 0)) * (scale.data[block] ?? 0);
  }
  return result;
}

/**
 * data · scale − offset · scale, with both products rounded to the dtype: as Core AI's runtime computes it of whole bytes. In
 * float16 that is up to a quarter of a step from `shiftAndScale`.
 */
export function scaleAndShift(
  data: Shaped,
  scale: Shaped,
  offset: Shaped,
  dtype: 'f16' | 'f32',
): Float32Array {
  const rounded = (products: Float32Array) =>
    dtype === 'f16' ? fromFloat16(floatBytes(products, 'f16')) : products;
  const blockOf = blocks(data.shape, scale.shape);
  const shifts = rounded(shiftAndScale(offset, scale, undefined));
  const result = rounded(shiftAndScale(data, scale, undefined));
  for (let index = 0; index < result.length; index++)
    result[index] = (result[index] ?? 0) - (shifts[blockOf(index)] ?? 0);
  return result;
}

/** For each element of a tensor the number of its block, where every axis is cut into so many blocks of equal size. */
function blocks(shape: readonly number[], counts: readonly number[]): (index: number) => number {
  if (elementCount(counts) === 1) return () => 0;
  let [elements, all] = [1, 1];
  const axes = shape
    .map((size, axis) => ({ size, count: counts[axis] ?? 1 }))
    .reverse()
    .map(({ size, count }) => {
      const axis = { stride: elements, size, step: size / count, weight: all };
      elements *= size;
      all *= count;
      return axis;
    });
  return (index) => {
    let block = 0;
    for (const { stride, size, step, weight } of axes) {
      block += Math.floor((Math.floor(index / stride) % size) / step) * weight;
    }
    return block;
  };
}

/** `count` numbers of 1 to 8 bits from one stream of bits, each byte's lowest bit first. */
export function unpackBits(bytes: Numbers, bits: number, count: number): Uint8Array {
  if (!(bits >= 1 && bits <= 8 && Number.isInteger(bits)) || bytes.length * 8 < bits * count) {
    throw new Error(`${bytes.length} bytes are not ${count} numbers of ${bits} bits`);
  }
  if (bits === 8 && bytes instanceof Uint8Array) return bytes;
  const mask = (1 << bits) - 1;
  const numbers = new Uint8Array(count);
  for (let index = 0, at = 0; index < count; index++, at += bits) {
    const byte = at >>> 3;
    const pair = (bytes[byte] ?? 0) | ((bytes[byte + 1] ?? 0) << 8);
    numbers[index] = (pair >>> (at & 7)) & mask;
  }
  return numbers;
}

/** Stored elements as numbers. `element` is `f16`, `f32`, `bf16`, or `i` or `u` with a number of bits; fewer than 8 are packed. */
export function storedNumbers(element: string, stored: Uint8Array, count: number): Numbers {
  const { buffer } = stored.byteLength === stored.buffer.byteLength ? stored : stored.slice();
  switch (element) {
    case 'f16':
      return fromFloat16(new Uint8Array(buffer));
    case 'f32':
      return new Float32Array(buffer);
    case 'bf16':
      return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
    case 'i8':
      return new Int8Array(buffer);
    case 'i16':
      return new Int16Array(buffer);
    case 'u16':
      return new Uint16Array(buffer);
    case 'i32':
      return new Int32Array(buffer);
    case 'u32':
      return new Uint32Array(buffer);
    case 'i64':
      return Float64Array.from(new BigInt64Array(buffer), Number);
    case 'u64':
      return Float64Array.from(new BigUint64Array(buffer), Number);
    case 'bool':
      return new Uint8Array(buffer);
    default: {
      const bits = Number(element.slice(1));
      const numbers = unpackBits(new Uint8Array(buffer), bits, count);
      return element.startsWith('i') ? signedFromBits(numbers, bits) : numbers;
    }
  }
}

/** Numbers of fewer than 8 bits with a sign in the highest. */
function signedFromBits(numbers: Uint8Array, bits: number): Int8Array {
  const sign = 1 << (bits - 1);
  return Int8Array.from(numbers, (each) => (each ^ sign) - sign);
}

/** The little-endian bytes of numbers as float16 or float32; of float32 numbers as such they are a view. */
export function floatBytes(numbers: Numbers, dtype: 'f16' | 'f32'): Uint8Array {
  const bytes = bytesOf({ data: numbers instanceof Float32Array ? numbers : new Float32Array(numbers) });
  return dtype === 'f16' ? converted('f32', 'f16', bytes, 2) : bytes;
}

export function fromFloat16(bytes: Uint8Array): Float32Array {
  return new Float32Array(converted('f16', 'f32', bytes, 4).buffer);
}

function converted(
  from: 'f16' | 'f32',
  to: 'f16' | 'f32',
  source: Uint8Array,
  width: number,
): Uint8Array<ArrayBuffer> {
  const convert = blockConverter(from, to);
  if (!convert) throw new Error(`${from} does not become ${to}`);
  const target = new Uint8Array((source.length / (6 - width)) * width);
  convert(source, target);
  return target;
}
