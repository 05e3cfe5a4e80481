import { ratioEnds, ratioSpacing, type Stops, timestepsOf } from '../schedule/ratio-spacing.ts';
import type { StepOptions } from '../scheduler.ts';
import {
  flag,
  noisePrediction,
  stableDiffusionNoise,
  stepsOffset,
  timestepSpacing,
} from '../scheduler-config.ts';
import { type ModelRuns, RatioScheduler, type RatioStep } from './ratio-scheduler.ts';

/** Options shared by these schedulers; Heun has more. */
export const twoStageOptions = {
  ...stableDiffusionNoise,
  ...ratioSpacing,
  ...ratioEnds,
  prediction_type: noisePrediction,
  timestep_spacing: timestepSpacing.default('linspace'),
  steps_offset: stepsOffset,
  clip_sample: flag.optional(), // an option of Heun's that diffusers copies along
};

/**
 * Schedulers that run the model twice per step: at its start, and on a sample computed from the first run. Timesteps and
 * sigmas alternate between the two; the last step, to zero noise, has the first run only.
 */
export abstract class TwoStageScheduler extends RatioScheduler {
  override readonly stages = 2;
  /** First run of the current step. */
  #first: RatioStep | undefined;

  override setTimesteps(count: number): void {
    super.setTimesteps(count);
    this.#first = undefined;
  }

  /** Noise ratio of the second run in a step from `sigma` to `next`. */
  protected abstract between(sigma: number, next: number): number;

  /** Computes the second run's sample from the first run. */
  protected abstract first(step: RatioStep, options: StepOptions): Float32Array;

  /** Computes the sample after the step from both runs. */
  protected abstract second(first: RatioStep, second: RatioStep, options: StepOptions): Float32Array;

  protected override modelRuns({ timesteps, ratios }: Stops): ModelRuns {
    const timestepOf = timestepsOf(this.table);
    const runs = { timesteps: timesteps.slice(0, 1), ratios: ratios.slice(0, 1) };
    for (let i = 1; i < ratios.length; i++) {
      const middle = this.between(Math.fround(ratios[i - 1] ?? 0), Math.fround(ratios[i] ?? 0));
      runs.ratios.push(middle, ratios[i] ?? 0);
      runs.timesteps.push(timestepOf(middle), timesteps[i] ?? 0);
    }
    return { timesteps: runs.timesteps, ratios: [...runs.ratios, 0] };
  }

  protected move(step: RatioStep, options: StepOptions): Float32Array {
    const first = this.#first;
    this.#first = first || step.next === 0 ? undefined : { ...step, sample: step.sample.slice() };
    return first ? this.second(first, step, options) : this.first(step, options);
  }
}
