import { checkSteps } from '../schedule/noise-schedule.ts';
import { clipRange, flag, stableDiffusionNoise, thresholding, whole } from '../scheduler-config.ts';
import { type AlphaConfig, AlphaScheduler } from '../steps/alpha-scheduler.ts';

/** Options of distilled models, which sample in a few of `original_inference_steps` evenly spaced timesteps. */
export const distillation = {
  ...stableDiffusionNoise,
  ...thresholding,
  ...clipRange,
  beta_schedule: stableDiffusionNoise.beta_schedule.unwrap().default('scaled_linear'),
  original_inference_steps: whole(1, 100_000).default(50),
  clip_sample: flag.default(false),
};

/** Check for zod's `refine`: the training has at least that many timesteps. */
export const distilledFromTraining: readonly [
  (config: { readonly original_inference_steps: number; readonly num_train_timesteps: number }) => boolean,
  { path: string[]; error: string },
] = [
  (config) => config.original_inference_steps <= config.num_train_timesteps,
  { path: ['original_inference_steps'], error: 'at most num_train_timesteps' },
];

interface DistilledConfig extends AlphaConfig {
  readonly original_inference_steps: number;
  readonly num_train_timesteps: number;
}

/** Selects `count` evenly spaced timesteps of the distillation, highest first. Throws `RequestError` when there are fewer. */
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

/** Schedulers of distilled models, which run at a few of the distillation's timesteps. */
export abstract class DistilledScheduler extends AlphaScheduler {
  readonly needsNoise = true;
  readonly #training: { readonly original: number; readonly trainSteps: number };

  constructor(config: DistilledConfig) {
    super(config);
    this.#training = { original: config.original_inference_steps, trainSteps: config.num_train_timesteps };
  }

  protected timestepsOf(count: number): readonly number[] {
    return distilledTimesteps({ count, ...this.#training });
  }

  /** Ends the step at `t` and returns the next timestep; undefined after the last one. */
  protected advance(t: number): number | undefined {
    const next = this.timesteps[this.position.at(t) + 1];
    this.position.advance();
    return next;
  }
}
