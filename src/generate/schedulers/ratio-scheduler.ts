import { linearCombination } from './linear-combination.ts';
import {
  cumulativeAlphas,
  interpolate,
  noiseRatios,
  spacedTimesteps,
  type TimestepSpacing,
  type TrainingNoise,
} from './noise-schedule.ts';
import { levelOfRatio, type PredictionType, predictPicture } from './prediction.ts';
import { spacedRatios } from './ratio-spacing.ts';
import type { Scheduler, StepOptions } from './scheduler.ts';
import { StepPosition } from './step-position.ts';

/** What the configurations of these schedulers share. */
export interface RatioConfig extends TrainingNoise {
  readonly prediction_type: PredictionType;
  readonly timestep_spacing: TimestepSpacing;
  readonly steps_offset: number;
  readonly rescale_betas_zero_snr?: boolean;
  readonly use_karras_sigmas?: boolean;
  readonly use_exponential_sigmas?: boolean;
  readonly final_sigmas_type?: 'zero' | 'sigma_min';
}

/** One step of a walk, in Karras' terms: `sample = picture + sigma · noise`. */
export interface RatioStep {
  readonly index: number;
  readonly sample: Float32Array;
  /** The picture that the model's output points at. */
  readonly picture: Float32Array;
  readonly sigma: number;
  /** The sigma that the step ends at. */
  readonly next: number;
}

/**
 * Schedulers whose samples keep the picture at full strength and add noise to it (Karras et al. 2022), so that they
 * are scaled down before the model sees them: Euler, Euler ancestral and linear multistep.
 */
export abstract class RatioScheduler implements Scheduler {
  abstract readonly needsNoise: boolean;
  timesteps: readonly number[] = [];
  /** Noise over picture at each timestep and after the last one. */
  sigmas: Float32Array;
  readonly #config: RatioConfig;
  readonly #table: Float32Array;
  #position = new StepPosition([]);

  constructor(config: RatioConfig) {
    this.#config = config;
    const zeroSnr = config.rescale_betas_zero_snr ?? false;
    this.#table = noiseRatios(cumulativeAlphas(config, zeroSnr), zeroSnr);
    this.sigmas = this.#table.toReversed();
  }

  get initNoiseSigma(): number {
    const max = this.sigmas[0] ?? 0;
    return this.#config.timestep_spacing === 'leading' ? Math.hypot(max, 1) : max;
  }

  setTimesteps(count: number): void {
    const { num_train_timesteps: trainSteps, steps_offset: offset, timestep_spacing: spacing } = this.#config;
    const { use_karras_sigmas = false, use_exponential_sigmas = false } = this.#config;
    const spaced = spacedTimesteps(spacing, count, { trainSteps, offset }).map(Math.fround);
    const ratios = spaced.map((t) => interpolate(this.#table, t));
    const [min = 0, max = 0] = [ratios.at(-1), ratios[0]];
    const options = { use_karras_sigmas, use_exponential_sigmas };
    const stops = spacedRatios(options, this.#table, { count, min, max });

    this.timesteps = stops?.timesteps.map(Math.fround) ?? spaced;
    const last = this.#config.final_sigmas_type === 'sigma_min' ? (this.#table[0] ?? 0) : 0;
    this.sigmas = Float32Array.from([...(stops?.ratios ?? ratios), last]);
    this.#position = new StepPosition(this.timesteps);
  }

  scaleModelInput(sample: Float32Array, t: number): Float32Array {
    const { alpha } = levelOfRatio(this.#sigma(this.#position.at(t)));
    return linearCombination([alpha, sample]);
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const index = this.#position.at(t);
    const sigma = this.#sigma(index);
    const level = levelOfRatio(sigma);
    const seen = linearCombination([level.alpha, sample]);
    const picture = predictPicture(this.#config.prediction_type, level, modelOutput, seen);
    const moved = this.move({ index, sample, picture, sigma, next: this.#sigma(index + 1) }, options);
    this.#position.advance();
    return moved;
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    return linearCombination([1, original], [this.#sigma(this.#position.find(t)), noise]);
  }

  protected abstract move(step: RatioStep, options: StepOptions): Float32Array;

  #sigma(index: number): number {
    return this.sigmas[index] ?? 0;
  }
}

/** Straight towards the predicted picture, until only `to` of the noise is left (Euler's method). */
export function eulerStep({ sample, picture, sigma }: RatioStep, to: number): Float32Array {
  return linearCombination([to / sigma, sample], [1 - to / sigma, picture]);
}
