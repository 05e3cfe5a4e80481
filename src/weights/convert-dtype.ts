import type { DType } from './dtype.ts';
import { roundToFloat16, widenFloat16 } from './wasm/float16-kernel.ts';

/**
 * Floats change their dtype here and nowhere else, block by block (a block that fits the cache converts twice as fast as
 * a whole tensor). Rounding is IEEE 754 round-to-nearest-even; numbers too large for float16 become infinity; a NaN
 * becomes 0x7e00 with its sign. Every 8-bit float is a float16, exactly. Between float16 and float32 WebAssembly converts four
 * numbers at a time; float64 numbers are rounded by `Float16Array` where it exists (Node 24), or by the scalar function below,
 * which gives the same bits.
 *
 * Typed arrays follow the machine's byte order, and every machine Node is released for except s390x is little-endian.
 */

/** Converts one block of little-endian elements; both blocks begin at a multiple of 8 bytes in their buffers. */
export type BlockConverter = (source: Uint8Array, target: Uint8Array) => void;

/** The converter from one dtype to another; `undefined` where there is none: only floats convert, to f32 and f16. */
export function blockConverter(from: DType, to: DType): BlockConverter | undefined {
  if (from === to) return (source, target) => target.set(source);
  return converters[`${from} ${to}`];
}

const converters: Readonly<Record<string, BlockConverter>> = {
  'f64 f32': (source, target) => float32s(target).set(float64s(source)),
  'f16 f32': (source, target) => widenFloat16(uint16s(source), float32s(target)),
  'f8_e4m3 f32': (source, target) => widenFloat8E4m3(source, target),
  'f8_e5m2 f32': (source, target) => widenFloat8E5m2(source, target),
  'bf16 f32': (source, target) => widenBfloat16(uint16s(source), uint32s(target)),
  'f64 f16': (source, target) => roundFloat64(float64s(source), uint16s(target)),
  'f32 f16': (source, target) => roundToFloat16(float32s(source), uint16s(target)),
  'bf16 f16': (source, target) => roundBfloat16(source, target),
  'f8_e4m3 f16': (source, target) => recodeFloat8(source, float8E4m3AsFloat16(), uint16s(target)),
  'f8_e5m2 f16': (source, target) => recodeFloat8(source, float8E5m2AsFloat16(), uint16s(target)),
};

/** The float16 nearest to a number, as its 16 bits; ties go to the even one. */
export function float16Bits(value: number): number {
  scratch[0] = value;
  const high = scratchWords[1] ?? 0;
  const sign = (high >>> 16) & 0x8000;
  if (Number.isNaN(value)) return sign | 0x7e00;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00; // halfway from the largest float16 to what would be the next
  const binade = Math.max(((high >>> 20) & 0x7ff) - 1009, 0); // below 2^-14 the spacing stays that of the subnormals
  const steps = magnitude * (stepsPerUnit[binade] ?? 0); // exact: only the exponent changes
  const nearest = steps + 2 ** 52 - 2 ** 52; // adding 2^52 leaves a float64 no room for a fraction: it rounds, ties to even
  return sign | ((binade << 10) + nearest);
}

/** The number that 16 float16 bits stand for. */
export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/**
 * The number that the 8 bits of a float8 E4M3FN stand for: sign, 4 bits of exponent, 3 of fraction; no infinity, and one
 * NaN a sign (Micikevicius et al. 2022, https://arxiv.org/abs/2209.05433).
 */
export function float8E4m3Value(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >>> 3) & 0xf;
  const fraction = bits & 7;
  if ((bits & 0x7f) === 0x7f) return Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -9;
  return sign * (8 + fraction) * 2 ** (exponent - 10);
}

/** The number that the 8 bits of a float8 E5M2 stand for: they are the upper half of a float16. */
export function float8E5m2Value(bits: number): number {
  return float16Value(bits << 8);
}

/** Float16 steps per unit, from the smallest numbers (2^-24 apart) to the largest (2^5 apart). */
const stepsPerUnit = Float64Array.from({ length: 30 }, (_, binade) => 2 ** (24 - binade));

const scratch = new Float64Array(1);
const scratchWords = new Uint32Array(scratch.buffer);

const hasFloat16Array = typeof Float16Array !== 'undefined';

function roundFloat64(values: Float64Array, bits: Uint16Array): void {
  if (hasFloat16Array) new Float16Array(bits.buffer, bits.byteOffset, bits.length).set(values);
  else for (let i = 0; i < values.length; i++) bits[i] = float16Bits(values[i] ?? 0);
}

function widenBfloat16(codes: Uint16Array, bits: Uint32Array): void {
  for (let i = 0; i < codes.length; i++) bits[i] = (codes[i] ?? 0) << 16;
}

// These do the work of whole models. A loop of their own each, and in the converter itself: shared by dtypes, or called
// by a converter that it is inlined into, it was measured five times slower.
const roundBfloat16: BlockConverter = (source, target) => {
  const [codes, table, bits] = [uint16s(source), bfloat16AsFloat16(), uint16s(target)];
  for (let i = 0; i < codes.length; i++) bits[i] = table[codes[i] ?? 0] ?? 0;
};

const widenFloat8E4m3: BlockConverter = (source, target) => {
  const [table, values] = [float8E4m3Values(), float32s(target)];
  for (let i = 0; i < source.length; i++) values[i] = table[source[i] ?? 0] ?? 0;
};

const widenFloat8E5m2: BlockConverter = (source, target) => {
  const [table, values] = [float8E5m2Values(), float32s(target)];
  for (let i = 0; i < source.length; i++) values[i] = table[source[i] ?? 0] ?? 0;
};

function recodeFloat8(codes: Uint8Array, table: Uint16Array, target: Uint16Array): void {
  for (let i = 0; i < codes.length; i++) target[i] = table[codes[i] ?? 0] ?? 0;
}

/** Values of the 65,536 float16 codes. */
export const float16Table = once(() => Float32Array.from(everyCode(), float16Value));

const float8E4m3Values = once(() => Float32Array.from({ length: 256 }, (_, code) => float8E4m3Value(code)));
const float8E5m2Values = once(() => Float32Array.from({ length: 256 }, (_, code) => float8E5m2Value(code)));
const float8E4m3AsFloat16 = once(() => float16Codes(float8E4m3Values()));
const float8E5m2AsFloat16 = once(() => float16Codes(float8E5m2Values()));

/** The float16 code nearest to each of the 65,536 bfloat16 codes. */
const bfloat16AsFloat16 = once(() => {
  const values = new Float32Array(65536);
  widenBfloat16(everyCode(), uint32s(values));
  return float16Codes(values);
});

function float16Codes(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  roundToFloat16(values, bits);
  return bits;
}

function everyCode(): Uint16Array {
  return Uint16Array.from({ length: 65536 }, (_, code) => code);
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

function uint16s({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint16Array {
  return new Uint16Array(buffer, byteOffset, byteLength / 2);
}

function uint32s({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint32Array {
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}

function float32s({ buffer, byteOffset, byteLength }: ArrayBufferView): Float32Array {
  return new Float32Array(buffer, byteOffset, byteLength / 4);
}

function float64s({ buffer, byteOffset, byteLength }: ArrayBufferView): Float64Array {
  return new Float64Array(buffer, byteOffset, byteLength / 8);
}
