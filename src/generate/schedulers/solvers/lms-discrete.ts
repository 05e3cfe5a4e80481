import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { oneSpacing, ratioSpacing } from '../schedule/ratio-spacing.ts';
import { predictionType, stepsOffset, timestepSpacing, trainingNoise } from '../scheduler-config.ts';
import { RatioScheduler, type RatioStep } from '../steps/ratio-scheduler.ts';

export const lmsDiscreteConfig = z
  .object({
    ...trainingNoise,
    ...ratioSpacing,
    prediction_type: predictionType.default('epsilon'),
    timestep_spacing: timestepSpacing.default('linspace'),
    steps_offset: stepsOffset,
  })
  .refine(...oneSpacing);

/** Linear multistep of order 4 over uneven steps (k-diffusion, K. Crowson). */
export class LmsDiscreteScheduler extends RatioScheduler {
  readonly needsNoise = false;
  /** Last derivatives of the sample in σ, newest first. */
  #slopes: readonly Float32Array[] = [];

  override setTimesteps(count: number): void {
    super.setTimesteps(count);
    this.#slopes = [];
  }

  protected move({ index, sample, picture, sigma }: RatioStep): Float32Array {
    const slope = linearCombination([1 / sigma, sample], [-1 / sigma, picture]);
    this.#slopes = [slope, ...this.#slopes.slice(0, ORDER - 1)];
    // As in diffusers, a run that starts in the middle counts the stops before it, though it has no slopes there.
    const stops = Array.from({ length: Math.min(index + 1, ORDER) }, (_, back) => this.sigma(index - back));
    const weights = adamsWeights(stops, sigma, this.sigma(index + 1));
    return linearCombination([1, sample], ...this.#slopes.map((s, back) => [weights[back] ?? 0, s] as const));
  }
}

const ORDER = 4;

/** Integrates each Lagrange polynomial through `stops` from `from` to `to`. */
function adamsWeights(stops: readonly number[], from: number, to: number): number[] {
  // Two Gauss–Legendre points integrate polynomials up to degree 3, i.e. order 4, exactly.
  const points = [-1, 1].map((side) => (from + to) / 2 + (side * (to - from)) / (2 * Math.sqrt(3)));
  return stops.map((own) => {
    const at = (x: number) =>
      stops.reduce(
        (product, other) => (other === own ? product : (product * (x - other)) / (own - other)),
        1,
      );
    return (points.reduce((sum, x) => sum + at(x), 0) * (to - from)) / 2;
  });
}
