import { type Code, f32x4, get, i32x4, type Locals, set, v128 } from './assembler.ts';

// The bits of float32: 8 of exponent, 127 for 1; 23 of fraction. Float16 has 5, 15 for 1; 10.

/** What a code's exponent lacks to be float32's. */
const REBIAS = (127 - 15) << 23;

/** 2^−14: the smallest normal float16, as float32. */
const SMALLEST_NORMAL = 113 << 23;

/** Four float16 codes, in 32 bits each, as float32; every NaN as the usual one. */
export function widened(locals: Locals, codes: Code): Code {
  const [code, bits] = [locals.add('v128'), locals.add('v128')];
  const number = (value: number): Code => locals.keep(i32x4.splat(value));
  const infinity = 31 << 23;
  const isSubnormal = i32x4.gtS(number(1 << 23), get(bits));
  const isNotFinite = i32x4.gtS(get(bits), number(infinity - 1));
  const isNotNumber = i32x4.gtS(get(bits), number(infinity));
  // Subnormal: 2^−14 is put before the fraction, and subtracted again.
  const smallest = number(SMALLEST_NORMAL);
  const subnormal = f32x4.sub(i32x4.add(get(bits), smallest), smallest);
  const rebias = number(REBIAS);
  const normal = i32x4.add(i32x4.add(get(bits), rebias), v128.and(isNotFinite, rebias));
  const sign = i32x4.shl(v128.xor(get(code), i32x4.shrU(get(bits), 13)), 16);
  return [
    ...set(code, codes),
    ...set(bits, i32x4.shl(v128.and(get(code), number(0x7fff)), 13)),
    ...v128.bitselect(
      number(0x7fc00000),
      v128.or(v128.bitselect(subnormal, normal, isSubnormal), sign),
      isNotNumber,
    ),
  ];
}

/**
 * Four float32 numbers as the nearest float16 codes, in 32 bits each; ties go to the even one, and NaNs become 0x7e00 with
 * their sign.
 */
export function rounded(locals: Locals, numbers: Code): Code {
  const [given, bits] = [locals.add('v128'), locals.add('v128')];
  const number = (value: number): Code => locals.keep(i32x4.splat(value));
  const isSubnormal = i32x4.gtS(number(SMALLEST_NORMAL), get(bits));
  const isNotFinite = i32x4.gtS(get(bits), number(((127 + 16) << 23) - 1));
  // Subnormal: beside ½ a float32 has no room for less than 2^−24, and rounds.
  const half = number(126 << 23);
  const subnormal = i32x4.sub(f32x4.add(get(bits), half), half);
  // Normal: half of the last place that stays is added, or a bit less where that place is even.
  const isOdd = i32x4.shrS(i32x4.shl(get(bits), 31 - 13), 31);
  const normal = i32x4.shrU(i32x4.sub(i32x4.add(get(bits), number(0xfff - REBIAS)), isOdd), 13);
  const isNotNumber = f32x4.ne(get(given), get(given));
  const notFinite = v128.or(number(0x7c00), v128.and(isNotNumber, number(0x200)));
  const magnitude = v128.bitselect(notFinite, v128.bitselect(subnormal, normal, isSubnormal), isNotFinite);
  return [
    ...set(given, numbers),
    ...set(bits, v128.and(get(given), number(0x7fffffff))),
    ...v128.or(magnitude, i32x4.shrU(v128.xor(get(given), get(bits)), 16)),
  ];
}

/**
 * Four float32 numbers as the nearest numbers that float16 has, or infinity, as float32; ties go to the even one. They must be
 * below 2^115. A zero loses its sign.
 */
export function nearestFloat16(locals: Locals, numbers: Code): Code {
  const [number, beside] = [locals.add('v128'), locals.add('v128')];
  const keep = (bits: number): Code => locals.keep(i32x4.splat(bits));
  // Beside 1.5 · 2^13 times its power of two, a float32 has no room for more than 11 bits, and rounds.
  const power = i32x4.maxS(v128.and(get(number), keep(0x7f800000)), keep(SMALLEST_NORMAL));
  const nearest = f32x4.sub(f32x4.add(get(number), get(beside)), get(beside));
  // 2^16 · 2^112 is infinity.
  const [up, down] = [keep((127 + 112) << 23), keep((127 - 112) << 23)];
  return [
    ...set(number, numbers),
    ...set(beside, i32x4.add(power, keep((13 << 23) + (1 << 22)))),
    ...f32x4.mul(f32x4.mul(nearest, up), down),
  ];
}
