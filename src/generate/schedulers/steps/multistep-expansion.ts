import { linearCombination } from '../linear-combination.ts';
import type { Expansion } from './dpm-solver-step.ts';

/**
 * Estimates the derivatives in λ of the newest prediction from the last ones (`values`, newest first), times the width
 * `h` of the next step. `lambda(back)`: λ that many stops ago.
 */
export function multistepExpansion(
  order: number,
  values: readonly Float32Array[],
  lambda: (back: number) => number,
  h: number,
): Expansion {
  const [m0 = new Float32Array(), m1 = m0, m2 = m1] = values;
  // The last of the chosen ratios may be the final one: that step has no width and no derivatives (NaN in diffusers).
  if (order === 1 || h === 0) return { value: m0 };
  const r0 = (lambda(0) - lambda(1)) / h;
  const d0 = linearCombination([1 / r0, m0], [-1 / r0, m1]);
  if (order === 2) return { value: m0, slope: d0 };
  const r1 = (lambda(1) - lambda(2)) / h;
  const d1 = linearCombination([1 / r1, m1], [-1 / r1, m2]);
  return {
    value: m0,
    slope: linearCombination([1 + r0 / (r0 + r1), d0], [-r0 / (r0 + r1), d1]),
    bend: linearCombination([1 / (r0 + r1), d0], [-1 / (r0 + r1), d1]),
  };
}
