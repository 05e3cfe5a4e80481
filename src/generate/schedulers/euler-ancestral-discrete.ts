import { z } from 'zod';
import { linearCombination } from './linear-combination.ts';
import { eulerStep, RatioScheduler, type RatioStep } from './ratio-scheduler.ts';
import { noiseFor, type StepOptions } from './scheduler.ts';
import { flag, timestepSpacing, trainingNoise } from './scheduler-config.ts';

export const eulerAncestralDiscreteConfig = z.object({
  ...trainingNoise,
  prediction_type: z.enum(['epsilon', 'v_prediction']).default('epsilon'),
  timestep_spacing: timestepSpacing.default('linspace'),
  steps_offset: z.int().default(0),
  rescale_betas_zero_snr: flag.default(false),
});

/** Euler's method that goes further down than asked and comes back up with fresh noise (k-diffusion, K. Crowson). */
export class EulerAncestralDiscreteScheduler extends RatioScheduler {
  readonly needsNoise = true;

  protected move(step: RatioStep, options: StepOptions): Float32Array {
    const { sigma, next } = step;
    const up = (next / sigma) * Math.sqrt(sigma ** 2 - next ** 2);
    const down = next ** 2 / sigma;
    const noise = noiseFor('EulerAncestralDiscreteScheduler', options);
    return linearCombination([1, eulerStep(step, down)], [up, noise]);
  }
}
