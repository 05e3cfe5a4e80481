import { ratioEnds, ratioSpacing, type Stops, timestepsOf } from '../schedule/ratio-spacing.ts';
import type { StepOptions } from '../scheduler.ts';
import {
  flag,
  noisePrediction,
  stableDiffusionNoise,
  stepsOffset,
  timestepSpacing,
} from '../scheduler-config.ts';
import { RatioScheduler, type RatioStep, type RatioWalk } from '../steps/ratio-scheduler.ts';

/** The options of the classes below, but for Heun's. */
export const twoStageOptions = {
  ...stableDiffusionNoise,
  ...ratioSpacing,
  ...ratioEnds,
  prediction_type: noisePrediction,
  timestep_spacing: timestepSpacing.default('linspace'),
  steps_offset: stepsOffset,
  clip_sample: flag.optional(), // of Heun; diffusers carries it along
};

/**
 * Schedulers that run the model twice in a step: at its beginning, and at a place that the first run points to. Timesteps
 * and sigmas alternate between the two; the last step, to zero noise, has the first run only.
 */
export abstract class TwoStageScheduler extends RatioScheduler {
  override readonly stages = 2;
  /** The first run of the step under way. */
  #first: RatioStep | undefined;

  override setTimesteps(count: number): void {
    super.setTimesteps(count);
    this.#first = undefined;
  }

  /** The noise ratio of the second run in a step from `sigma` to `next`. */
  protected abstract between(sigma: number, next: number): number;

  /** From the first run's sample to the second's. */
  protected abstract first(step: RatioStep, options: StepOptions): Float32Array;

  /** From the first run's sample to the end of the step, with both runs known. */
  protected abstract second(first: RatioStep, second: RatioStep, options: StepOptions): Float32Array;

  protected override walkThrough({ timesteps, ratios }: Stops): RatioWalk {
    const timestepOf = timestepsOf(this.table);
    const walk = { timesteps: timesteps.slice(0, 1), ratios: ratios.slice(0, 1) };
    for (let i = 1; i < ratios.length; i++) {
      const middle = this.between(Math.fround(ratios[i - 1] ?? 0), Math.fround(ratios[i] ?? 0));
      walk.ratios.push(middle, ratios[i] ?? 0);
      walk.timesteps.push(timestepOf(middle), timesteps[i] ?? 0);
    }
    return { timesteps: walk.timesteps, ratios: [...walk.ratios, 0] };
  }

  protected move(step: RatioStep, options: StepOptions): Float32Array {
    const first = this.#first;
    this.#first = first || step.next === 0 ? undefined : { ...step, sample: step.sample.slice() };
    return first ? this.second(first, step, options) : this.first(step, options);
  }
}
