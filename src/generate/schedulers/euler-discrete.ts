import { z } from 'zod';
import { linearCombination } from './linear-combination.ts';
import { cumulativeAlphas, finiteNoiseRatios, interpolate, spacedTimesteps } from './noise-schedule.ts';
import { levelOfRatio, predictPicture } from './prediction.ts';
import { ratioSpacing, spacedRatios } from './ratio-spacing.ts';
import type { Scheduler } from './scheduler.ts';
import {
  finalSigmas,
  flag,
  otherSpacings,
  predictionType,
  timestepSpacing,
  trainingNoise,
  unset,
} from './scheduler-config.ts';
import { StepPosition } from './step-position.ts';

export const eulerDiscreteConfig = z.object({
  ...trainingNoise,
  ...ratioSpacing,
  use_beta_sigmas: otherSpacings.use_beta_sigmas,
  prediction_type: predictionType.default('epsilon'),
  interpolation_type: z.literal('linear', '"linear"').default('linear'),
  sigma_min: unset,
  sigma_max: unset,
  timestep_spacing: timestepSpacing.default('linspace'),
  timestep_type: z.literal('discrete', '"discrete"').default('discrete'),
  steps_offset: z.int().default(0),
  rescale_betas_zero_snr: flag.default(false),
  final_sigmas_type: finalSigmas,
});
