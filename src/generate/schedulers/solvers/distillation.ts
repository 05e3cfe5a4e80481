import { linearCombination } from '../linear-combination.ts';
import { levelOfAlpha, type NoiseLevel } from '../prediction.ts';
import { alphaAt, checkSteps, cumulativeAlphas } from '../schedule/noise-schedule.ts';
import type { Scheduler, StepOptions } from '../scheduler.ts';
import { clipRange, flag, stableDiffusionNoise, thresholding, whole } from '../scheduler-config.ts';
import { StepPosition } from '../step-position.ts';

/** The options of models that were distilled to walk in a few of `original_inference_steps` evenly spaced steps. */
export const distillation = {
  ...stableDiffusionNoise,
  ...thresholding,
  ...clipRange,
  beta_schedule: stableDiffusionNoise.beta_schedule.unwrap().default('scaled_linear'),
  original_inference_steps: whole(1, 100_000).default(50),
  clip_sample: flag.default(false),
};

/** The check that the training has that many, for zod's `refine`. */
export const distilledFromTraining: readonly [
  (config: { readonly original_inference_steps: number; readonly num_train_timesteps: number }) => boolean,
  { path: string[]; error: string },
] = [
  (config) => config.original_inference_steps <= config.num_train_timesteps,
  { path: ['original_inference_steps'], error: 'at most num_train_timesteps' },
];

type DistilledConfig = Parameters<typeof cumulativeAlphas>[0] & {
  readonly original_inference_steps: number;
  readonly num_train_timesteps: number;
  readonly rescale_betas_zero_snr: boolean;
};

/** `count` of the distillation's timesteps, the highest first, evenly spaced. Throws `RequestError` when there are fewer. */
function distilledTimesteps({
  count,
  original,
  trainSteps,
}: {
  readonly count: number;
  readonly original: number;
  readonly trainSteps: number;
}): number[] {
  checkSteps(count, original);
  const stride = Math.floor(trainSteps / original);
  const skipped = (i: number) => Math.floor(i * (original / count));
  return Array.from({ length: count }, (_, i) => (original - skipped(i)) * stride - 1);
}

/** The schedulers of distilled models: a few of the distillation's timesteps, over samples that the model sees as they are. */
export abstract class DistilledScheduler implements Scheduler {
  readonly stages = 1;
  readonly initNoiseSigma = 1;
  readonly needsNoise = true;
  timesteps: readonly number[] = [];
  readonly #walk: { readonly original: number; readonly trainSteps: number };
  readonly #alphas: Float32Array;
  #position = new StepPosition([]);

  constructor(config: DistilledConfig) {
    this.#walk = { original: config.original_inference_steps, trainSteps: config.num_train_timesteps };
    this.#alphas = cumulativeAlphas(config, config.rescale_betas_zero_snr);
  }

  setTimesteps(count: number): void {
    this.timesteps = distilledTimesteps({ count, ...this.#walk });
    this.#position = new StepPosition(this.timesteps);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  abstract step(
    modelOutput: Float32Array,
    t: number,
    sample: Float32Array,
    options?: StepOptions,
  ): Float32Array;

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    const { alpha, sigma } = this.level(t);
    return linearCombination([alpha, original], [sigma, noise]);
  }

  /** Leaves timestep `t` for the one after it, which is returned; undefined after the last one. */
  protected advance(t: number): number | undefined {
    const next = this.timesteps[this.#position.at(t) + 1];
    this.#position.advance();
    return next;
  }

  /** The cumulative alpha at a timestep of the training. */
  protected alpha(t: number): number {
    return alphaAt(this.#alphas, t, 1);
  }

  /** How noisy a sample is at a timestep of the training. */
  protected level(t: number): NoiseLevel {
    return levelOfAlpha(this.alpha(t));
  }
}
