import { divideDim } from './dim.ts';
import { add, concat, mul, reshape, scale, split } from './functions.ts';
import { dimAt } from './shape.ts';
import type { Tensor } from './tensor.ts';

/**
 * Rotary position embedding (Su et al. 2021), with angles that grow with a token's place. It is a function and not an
 * operation, because every format says it with the same products and sums; `rms_norm` is an operation, because each format
 * has its own way to keep squares inside of float16's range.
 */

/** Pairs of elements that a rotation turns: first half with second half, or neighbours. */
export type Pairing = 'halves' | 'neighbours';

/** Cosines and sines of the angles. */
export interface Turns {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * x with its elements along an axis of even size (counted from the front) taken as pairs (a, b), each turned by an angle:
 * (a·cos − b·sin, b·cos + a·sin). `cos` and `sin` have half of x's size on that axis, and broadcast to x on the others.
 *
 *     const q = rotate(queries, { cos, sin }, 2, 'neighbours'); // [B,heads,d,S], angles [d/2,S]
 */
export function rotate(x: Tensor, { cos, sin }: Turns, axis: number, pairing: Pairing): Tensor {
  const count = divideDim(dimAt(x.shape, axis), 2);
  if (pairing === 'halves') return concat(turned(split(x, axis, [count, count]), { cos, sin }), axis);
  // A pair becomes an axis of its own, with one element for each angle.
  const behind = x.shape.length - axis - 1;
  const paired = reshape(x, [...x.shape.slice(0, axis), count, 2, ...x.shape.slice(axis + 1)]);
  const turns = { cos: withOne(cos, behind), sin: withOne(sin, behind) };
  return reshape(concat(turned(split(paired, axis + 1, [1, 1]), turns), axis + 1), x.shape);
}

function turned([a, b]: readonly [Tensor, Tensor], { cos, sin }: Turns): [Tensor, Tensor] {
  // Negate the table, not the operand: it is smaller, and its negative is recorded once for all rotations.
  return [add(mul(a, cos), mul(b, scale(sin, -1))), add(mul(b, cos), mul(a, sin))];
}

/** The tensor with an axis of one element before its last `behind`. */
function withOne(x: Tensor, behind: number): Tensor {
  const at = x.shape.length - behind;
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}
