import type { Term } from '../linear-combination.ts';
import { linearCombination } from '../linear-combination.ts';
import type { NoiseLevel } from '../prediction.ts';

/**
 * Algorithm of a step: DPM-Solver (Lu et al. 2022), which integrates the predicted noise, or DPM-Solver++ (Lu et al.
 * 2022b), which integrates the predicted picture; `sde-` variants replace part of the sample with fresh noise.
 */
export type DpmAlgorithm = 'dpmsolver' | 'dpmsolver++' | 'sde-dpmsolver' | 'sde-dpmsolver++';

/** Interval that a step covers: its noise levels, and their distance in λ. */
export interface StepInterval {
  readonly from: NoiseLevel;
  readonly to: NoiseLevel;
  readonly h: number;
}

/** Weights of the terms whose sum is the sample after a step. */
export interface StepWeights {
  /** Of the sample before the step. */
  readonly sample: number;
  /** Of the prediction. */
  readonly value: number;
  /** Of the prediction's first derivative (exact, see `midpoint`). */
  readonly slope: number;
  /** Of its second derivative. */
  readonly bend: number;
  /** Of standard normal noise. */
  readonly noise: number;
}

/** Whether an algorithm adds noise. */
export function isStochastic(algorithm: DpmAlgorithm): boolean {
  return algorithm.startsWith('sde-');
}

/** Whether an algorithm integrates the predicted picture instead of the noise. */
export function followsPicture(algorithm: DpmAlgorithm): boolean {
  return algorithm.endsWith('++');
}

/** The weights of a step, exact for predictions that are polynomials of λ. */
export function stepWeights(algorithm: DpmAlgorithm, { from, to, h }: StepInterval): StepWeights {
  const stochastic = isStochastic(algorithm);
  if (!followsPicture(algorithm)) {
    const grown = Math.expm1(h);
    const twice = stochastic ? 2 : 1;
    return {
      sample: to.alpha / from.alpha,
      value: -twice * to.sigma * grown,
      slope: -twice * to.sigma * (grown / h - 1),
      bend: -to.sigma * ((grown - h) / h ** 2 - 0.5),
      noise: stochastic ? to.sigma * Math.sqrt(Math.expm1(2 * h)) : 0,
    };
  }
  // The SDE solver takes the same step with twice the width, and replaces what it forgets with noise.
  const width = stochastic ? 2 * h : h;
  const forget = -Math.expm1(-width);
  return {
    sample: (to.sigma / from.sigma) * (stochastic ? Math.exp(-h) : 1),
    value: to.alpha * forget,
    slope: to.alpha * (1 - forget / width),
    // The sign of ½ in the SDE variant is diffusers'; the paper has no such variant of order 3.
    bend: to.alpha * ((forget - width) / width ** 2 + (stochastic ? -0.5 : 0.5)),
    noise: stochastic ? to.sigma * Math.sqrt(Math.max(forget, 0)) : 0,
  };
}

/** A prediction and finite differences for its derivatives, as many as the order of the step needs. */
export interface Expansion {
  readonly value: Float32Array;
  readonly slope?: Float32Array;
  readonly bend?: Float32Array | undefined;
}

/**
 * Computes the sample after a step of order 1, 2 or 3. `midpoint`: the first derivative gets half the prediction's weight
 * instead of the exact one.
 */
export function dpmSolverStep(
  weights: StepWeights,
  sample: Float32Array,
  expansion: Expansion,
  { midpoint, noise }: { readonly midpoint: boolean; readonly noise: Float32Array | undefined },
): Float32Array {
  const terms: Term[] = [
    [weights.sample, sample],
    [weights.value, expansion.value],
  ];
  if (expansion.slope) terms.push([midpoint ? weights.value / 2 : weights.slope, expansion.slope]);
  if (expansion.bend) terms.push([weights.bend, expansion.bend]);
  if (noise) terms.push([weights.noise, noise]);
  return linearCombination(...terms);
}
