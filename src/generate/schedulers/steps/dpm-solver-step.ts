import type { Term } from '../linear-combination.ts';
import { linearCombination } from '../linear-combination.ts';
import type { NoiseLevel } from '../prediction.ts';

/**
 * One step of DPM-Solver (Lu et al. 2022, which follows the predicted noise) or DPM-Solver++ (Lu et al. 2022b, which
 * follows the predicted picture), each also in a form that forgets some of the sample and adds noise in its place.
 */
export type DpmAlgorithm = 'dpmsolver' | 'dpmsolver++' | 'sde-dpmsolver' | 'sde-dpmsolver++';

/** The stretch that a step covers: two levels, and how far apart they are in λ. */
export interface Stretch {
  readonly from: NoiseLevel;
  readonly to: NoiseLevel;
  readonly h: number;
}

/** How much of everything is in the sample at the end of a step. */
export interface StepWeights {
  /** Of the sample at its beginning. */
  readonly sample: number;
  /** Of the prediction. */
  readonly value: number;
  /** Of the prediction's first derivative, exactly, and of its second. */
  readonly slope: number;
  readonly bend: number;
  /** Of standard normal noise. */
  readonly noise: number;
}

/** Whether an algorithm adds noise. */
export function isStochastic(algorithm: DpmAlgorithm): boolean {
  return algorithm.startsWith('sde-');
}

/** Whether an algorithm follows the predicted picture rather than the noise. */
export function followsPicture(algorithm: DpmAlgorithm): boolean {
  return algorithm.endsWith('++');
}

/** The weights of a step, exact for predictions that are polynomials of λ. */
export function stepWeights(algorithm: DpmAlgorithm, { from, to, h }: Stretch): StepWeights {
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
  // The stochastic solver takes the same step with twice the width, and gives back as noise what it forgot.
  const width = stochastic ? 2 * h : h;
  const forget = -Math.expm1(-width);
  return {
    sample: (to.sigma / from.sigma) * (stochastic ? Math.exp(-h) : 1),
    value: to.alpha * forget,
    slope: to.alpha * (1 - forget / width),
    // The sign before ½ of the stochastic form is diffusers'; the paper has no such form of order 3.
    bend: to.alpha * ((forget - width) / width ** 2 + (stochastic ? -0.5 : 0.5)),
    noise: stochastic ? to.sigma * Math.sqrt(Math.max(forget, 0)) : 0,
  };
}

/** A prediction and the one or two differences that stand for its derivatives, by the order of the step. */
export interface Expansion {
  readonly value: Float32Array;
  readonly slope?: Float32Array;
  readonly bend?: Float32Array | undefined;
}

/**
 * The sample after a step of order 1, 2 or 3. `midpoint`: the first derivative is taken at half the step's value rather
 * than weighed exactly.
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
