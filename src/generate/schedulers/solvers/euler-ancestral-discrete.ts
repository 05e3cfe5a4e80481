import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
import { flag, noisePrediction, stepsOffset, timestepSpacing, trainingNoise } from '../scheduler-config.ts';
import { ancestralSplit, eulerStep, RatioScheduler, type RatioStep } from '../steps/ratio-scheduler.ts';

export const eulerAncestralDiscreteConfig = z.object({
  ...trainingNoise,
  prediction_type: noisePrediction,
  timestep_spacing: timestepSpacing.default('linspace'),
  steps_offset: stepsOffset,
  rescale_betas_zero_snr: flag.default(false),
});

/** Ancestral Euler (k-diffusion, K. Crowson): each step goes below the next noise ratio and adds fresh noise to return to it. */
export class EulerAncestralDiscreteScheduler extends RatioScheduler {
  readonly needsNoise = true;

  protected move(step: RatioStep, options: StepOptions): Float32Array {
    const { down, up } = ancestralSplit(step.sigma, step.next);
    const noise = noiseFor('EulerAncestralDiscreteScheduler', options, step.sample.length);
    return linearCombination([1, eulerStep(step, down)], [up, noise]);
  }
}
