import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { levelOfAlpha, predictNoise, predictPicture } from '../prediction.ts';
import { alphaAt } from '../schedule/noise-schedule.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
import {
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

export const ddimConfig = z.object({
  ...trainingNoise,
  ...thresholding,
  clip_sample: flag.default(true),
  ...clipRange,
  set_alpha_to_one: flag.default(true),
  steps_offset: stepsOffset,
  prediction_type: predictionType.default('epsilon'),
  timestep_spacing: timestepSpacing.default('leading'),
  rescale_betas_zero_snr: flag.default(false),
});

/** Song et al. 2020, "Denoising diffusion implicit models", equation 12. */
export class DdimScheduler extends AlphaScheduler {
  readonly needsNoise = false;
  readonly #config: z.infer<typeof ddimConfig>;
  #stride = 0;

  constructor(config: z.infer<typeof ddimConfig>) {
    super(config);
    this.#config = config;
  }

  protected timestepsOf(count: number): readonly number[] {
    this.#stride = Math.floor(this.#config.num_train_timesteps / count);
    return wholeTimesteps(this.#config, count);
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    this.position.find(t); // throws when no step starts at `t`
    const { prediction_type: type } = this.#config;
    const [now, next] = [this.alpha(t), this.alpha(t - this.#stride)];
    const level = levelOfAlpha(now);
    const picture = boundPicture(this.#config, predictPicture(type, level, modelOutput, sample));
    const noise = predictNoise(type, level, modelOutput, sample);

    const eta = options.eta ?? 0;
    const variance = eta * eta * ((1 - next) / (1 - now)) * (1 - now / next);
    const terms = [
      [Math.sqrt(next), picture],
      [Math.sqrt(1 - next - variance), noise],
    ] as const;
    if (eta === 0) return linearCombination(...terms);
    return linearCombination(...terms, [
      Math.sqrt(variance),
      noiseFor('DDIM with eta above 0', options, sample.length),
    ]);
  }

  protected override alpha(t: number): number {
    return alphaAt(this.alphas, t, this.#config.set_alpha_to_one ? 1 : (this.alphas[0] ?? 1));
  }
}
