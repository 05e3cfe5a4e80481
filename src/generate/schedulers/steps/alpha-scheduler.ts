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

/** Options shared by these schedulers. */
export interface AlphaConfig extends TrainingNoise {
  readonly rescale_betas_zero_snr: boolean;
}

/** Options that space the timesteps over the training schedule. */
export interface SpacedConfig extends AlphaConfig {
  readonly steps_offset: number;
  readonly timestep_spacing: TimestepSpacing;
}

/**
 * Schedulers whose samples have the same variance at every timestep (Ho et al. 2020), so that they are not scaled for the
 * model's input: the weight of the picture in them is the square root of the cumulative alpha.
 */
export abstract class AlphaScheduler implements Scheduler {
  readonly stages = 1;
  readonly initNoiseSigma = 1;
  abstract readonly needsNoise: boolean;
  timesteps: readonly number[] = [];
  /** Cumulative alpha of every training timestep. */
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

  /** Cumulative alpha at a timestep; 1 (no noise) below timestep 0. */
  protected alpha(t: number): number {
    return alphaAt(this.alphas, t, 1);
  }

  protected level(t: number): NoiseLevel {
    return levelOfAlpha(this.alpha(t));
  }
}

/** `count` whole timesteps, spaced over the training schedule as configured. */
export function wholeTimesteps(config: SpacedConfig, count: number): number[] {
  const { num_train_timesteps: trainSteps, steps_offset: offset, timestep_spacing: spacing } = config;
  return spacedTimesteps(spacing, count, { trainSteps, offset }).map(roundHalfEven);
}
