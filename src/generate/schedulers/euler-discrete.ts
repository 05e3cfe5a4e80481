import { z } from 'zod';
import { eulerStep, RatioScheduler, type RatioStep } from './ratio-scheduler.ts';
import { oneSpacing, ratioSpacing } from './ratio-spacing.ts';
import {
  finalSigmas,
  flag,
  off,
  predictionType,
  timestepSpacing,
  trainingNoise,
  unset,
} from './scheduler-config.ts';

export const eulerDiscreteConfig = z
  .object({
    ...trainingNoise,
    ...ratioSpacing,
    use_beta_sigmas: off,
    prediction_type: predictionType.default('epsilon'),
    interpolation_type: z.literal('linear', '"linear"').default('linear'),
    sigma_min: unset,
    sigma_max: unset,
    timestep_spacing: timestepSpacing.default('linspace'),
    timestep_type: z.literal('discrete', '"discrete"').default('discrete'),
    steps_offset: z.int().default(0),
    rescale_betas_zero_snr: flag.default(false),
    final_sigmas_type: finalSigmas,
  })
  .refine(...oneSpacing);

/** Euler's method: Karras et al. 2022, algorithm 2 without churn. */
export class EulerDiscreteScheduler extends RatioScheduler {
  readonly needsNoise = false;

  protected move(step: RatioStep): Float32Array {
    return eulerStep(step, step.next);
  }
}
