import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { levelOfAlpha, predictPicture } from '../prediction.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
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
import { AlphaScheduler, wholeTimesteps } from '../steps/alpha-scheduler.ts';
import { boundPicture } from '../thresholding.ts';

export const ddpmConfig = z.object({
  ...trainingNoise,
  ...thresholding,
  ...clipRange,
  beta_schedule: z.enum([...betaSchedule.options, 'laplace', 'sigmoid']).default('linear'),
  clip_sample: flag.default(true),
  // `learned` and `learned_range` need a model that predicts the variance; `fixed_large_log` gives NaN in diffusers.
  variance_type: z.enum(['fixed_small', 'fixed_small_log', 'fixed_large']).default('fixed_small'),
  steps_offset: stepsOffset,
  prediction_type: predictionType.default('epsilon'),
  timestep_spacing: timestepSpacing.default('leading'),
  rescale_betas_zero_snr: flag.default(false),
});

/** Ho et al. 2020, "Denoising diffusion probabilistic models", equations 6 and 7. */
export class DdpmScheduler extends AlphaScheduler {
  readonly needsNoise = true;
  readonly #config: z.infer<typeof ddpmConfig>;

  constructor(config: z.infer<typeof ddpmConfig>) {
    super(config);
    this.#config = config;
  }

  protected timestepsOf(count: number): readonly number[] {
    return wholeTimesteps(this.#config, count);
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const end = this.timesteps[this.position.find(t) + 1] ?? -1;
    const [now, next] = [this.alpha(t), this.alpha(end)];
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
}
