/**
 * log, sin and cos in float32 arithmetic, bit for bit as PyTorch's vectorised CPU kernels compute them.
 *
 * A random picture is only the same picture if its noise is the same to the last bit or nearly so, and a correctly
 * rounded log is not the one PyTorch has. Its kernels evaluate the polynomials of Cephes (Moshier's logf, sinf, cosf)
 * with fused multiply-adds; so do we, in the same order. Left out: negative, infinite and denormal arguments, which
 * the noise never needs.
 */

const round = Math.fround;

/** `a·b + c` rounded once to float32; all three are float32 values, the product's exponent is moderate. */
function fma(a: number, b: number, c: number): number {
  const product = a * b; // exact: 24 + 24 bits fit a double
  const sum = product + c;
  const nearest = round(sum);
  const rest = sum - nearest;
  const neighbour = nearest + 2 * rest;
  if (rest === 0 || round(neighbour) !== neighbour) return nearest;
  // `sum` lies halfway between two floats, maybe only because it was rounded to a double itself: what that lost decides.
  const shadow = sum - product;
  const lost = product - (sum - shadow) + (c - shadow);
  return lost !== 0 && lost > 0 === rest > 0 ? neighbour : nearest;
}

function horner(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => fma(sum, x, coefficient));
}

const LOG = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
  2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
].map(round);
/** ln 2 in two parts, the high one short enough that a multiple of it is exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = round(-2.1219444e-4);
const SQRT_HALF = round(Math.SQRT1_2);

const word = new Int32Array(1);
const float = new Float32Array(word.buffer);

/** The natural logarithm of a positive, normal float32. */
export function log32(value: number): number {
  float[0] = value;
  const bits = word[0] ?? 0;
  word[0] = (bits & 0x007fffff) | 0x3f000000; // the mantissa as a number in [½, 1)
  const mantissa = float[0];
  const small = mantissa < SQRT_HALF;
  const exponent = (bits >>> 23) - 126 - (small ? 1 : 0);
  const x = small ? round(round(mantissa - 1) + mantissa) : round(mantissa - 1);

  const square = round(x * x);
  let y = round(horner(LOG, x) * x);
  y = fma(y, square, round(exponent * LN2_LOW));
  y = fma(square, -0.5, y);
  return fma(exponent, LN2_HIGH, round(x + y));
}

const SIN = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1].map(round);
const COS = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2].map(round);
/** −π/4 in three parts. */
const MINUS_QUARTER_PI = [-0.78515625, -2.4187564849853516e-4, -3.774894977445941e-8].map(round);
const FOUR_OVER_PI = round(4 / Math.PI);

/** Sine and cosine of a float32 angle in [0, 8192) radians. */
export function sincos32(angle: number): { sin: number; cos: number } {
  const octant = (Math.trunc(round(angle * FOUR_OVER_PI)) + 1) & ~1;
  const x = MINUS_QUARTER_PI.reduce((rest, part) => fma(octant, part, rest), angle);
  const square = round(x * x);

  const slopes = round(horner(SIN, square) * square);
  const sine = fma(slopes, x, x);
  const bends = round(horner(COS, square) * square);
  const cosine = round(fma(bends, square, square * -0.5) + 1);

  const swapped = (octant & 2) !== 0;
  const sin = swapped ? cosine : sine;
  const cos = swapped ? sine : cosine;
  return { sin: octant & 4 ? -sin : sin, cos: (octant + 2) & 4 ? -cos : cos };
}
