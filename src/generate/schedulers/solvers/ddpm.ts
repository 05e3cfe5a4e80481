import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { levelOfAlpha, predictPicture } from '../prediction.ts';
import { alphaAt, cumulativeAlphas, spacedTimesteps } from '../schedule/noise-schedule.ts';
import { roundHalfEven } from '../schedule/round-half-even.ts';
import { noiseFor, type Scheduler, type StepOptions } from '../scheduler.ts';
import {
  betaSchedule,
  clipRange,
  flag,
  predictionType,
  stepsOffset,
  thresholding,
  timestepSpacing,
  trainingNoise,
} from '../scheduler-config.ts';
import { StepPosition } from '../step-position.ts';
import { boundPicture } from '../thresholding.ts';

export const ddpmConfig = z.object({
  ...trainingNoise,
  ...thresholding,
  ...clipRange,
  beta_schedule: z.enum([...betaSchedule.options, 'laplace', 'sigmoid']).default('linear'),
  clip_sample: flag.default(true),
  // The learned ones need a model that predicts its variance; the logarithm of the large one is not a number in diffusers.
  variance_type: z.enum(['fixed_small', 'fixed_small_log', 'fixed_large']).default('fixed_small'),
  steps_offset: stepsOffset,
  prediction_type: predictionType.default('epsilon'),
  timestep_spacing: timestepSpacing.default('leading'),
  rescale_betas_zero_snr: flag.default(false),
});

/** Ho et al. 2020, "Denoising diffusion probabilistic models", equations 6 and 7. */
export class DdpmScheduler implements Scheduler {
  readonly stages = 1;
  readonly initNoiseSigma = 1;
  readonly needsNoise = true;
  timesteps: readonly number[] = [];
  readonly #config: z.infer<typeof ddpmConfig>;
  readonly #alphas: Float32Array;
  #position = new StepPosition([]);

  constructor(config: z.infer<typeof ddpmConfig>) {
    this.#config = config;
    this.#alphas = cumulativeAlphas(config, config.rescale_betas_zero_snr);
  }

  setTimesteps(count: number): void {
    const { num_train_timesteps: trainSteps, steps_offset: offset, timestep_spacing: spacing } = this.#config;
    this.timesteps = spacedTimesteps(spacing, count, { trainSteps, offset }).map(roundHalfEven);
    this.#position = new StepPosition(this.timesteps);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const end = this.timesteps[this.#position.find(t) + 1] ?? -1;
    const [now, next] = [alphaAt(this.#alphas, t, 1), alphaAt(this.#alphas, end, 1)];
    const { prediction_type: type, variance_type: variance } = this.#config;
    const picture = boundPicture(this.#config, predictPicture(type, levelOfAlpha(now), modelOutput, sample));
    const kept = now / next;
    const mean = [
      [(Math.sqrt(next) * (1 - kept)) / (1 - now), picture],
      [(Math.sqrt(kept) * (1 - next)) / (1 - now), sample],
    ] as const;
    if (t === 0) return linearCombination(...mean);
    const small = Math.max(((1 - next) / (1 - now)) * (1 - kept), 1e-20);
    const noise = noiseFor('DDPMScheduler', options, sample.length);
    return linearCombination(...mean, [Math.sqrt(variance === 'fixed_large' ? 1 - kept : small), noise]);
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    const { alpha, sigma } = levelOfAlpha(alphaAt(this.#alphas, t, 1));
    return linearCombination([alpha, original], [sigma, noise]);
  }
}
