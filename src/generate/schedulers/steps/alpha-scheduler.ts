import { linearCombination } from '../linear-combination.ts';
import { levelOfAlpha, type NoiseLevel } from '../prediction.ts';
import {
  alphaAt,
  cumulativeAlphas,
  spacedTimesteps,
  type TimestepSpacing,
  type TrainingNoise,
} from '../schedule/noise-schedule.ts';
import { roundHalfEven } from '../schedule/round-half-even.ts';
import type { Scheduler, StepOptions } from '../scheduler.ts';
import { StepPosition } from '../step-position.ts';

/** What the configurations of these schedulers share. */
export interface AlphaConfig extends TrainingNoise {
  readonly rescale_betas_zero_snr: boolean;
}

/** The options that space timesteps over the training's. */
export interface SpacedConfig extends AlphaConfig {
  readonly steps_offset: number;
  readonly timestep_spacing: TimestepSpacing;
}

/**
 * Schedulers whose samples keep their variance (Ho et al. 2020), so that the model sees them as they are: the part of
 * picture in them is the root of the cumulative alpha.
 */
export abstract class AlphaScheduler implements Scheduler {
  readonly stages = 1;
  readonly initNoiseSigma = 1;
  abstract readonly needsNoise: boolean;
  timesteps: readonly number[] = [];
  /** The cumulative alpha of every timestep of the training. */
  protected readonly alphas: Float32Array;
  protected position = new StepPosition([]);

  constructor(config: AlphaConfig) {
    this.alphas = cumulativeAlphas(config, config.rescale_betas_zero_snr);
  }

  setTimesteps(count: number): void {
    this.timesteps = this.timestepsOf(count);
    this.position = new StepPosition(this.timesteps);
  }

  protected abstract timestepsOf(count: number): readonly number[];

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

  /** The cumulative alpha at a timestep; before the training's first there is no noise. */
  protected alpha(t: number): number {
    return alphaAt(this.alphas, t, 1);
  }

  protected level(t: number): NoiseLevel {
    return levelOfAlpha(this.alpha(t));
  }
}

/** `count` timesteps as the configuration spaces them over the training's, whole numbers. */
export function wholeTimesteps(config: SpacedConfig, count: number): number[] {
  const { num_train_timesteps: trainSteps, steps_offset: offset, timestep_spacing: spacing } = config;
  return spacedTimesteps(spacing, count, { trainSteps, offset }).map(roundHalfEven);
}
