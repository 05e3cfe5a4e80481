import { linearCombination } from '../linear-combination.ts';
import { levelOfRatio, type PredictionType, predictPicture } from '../prediction.ts';
import {
  cumulativeAlphas,
  interpolate,
  noiseRatios,
  spacedTimesteps,
  type TimestepSpacing,
  type TrainingNoise,
} from '../schedule/noise-schedule.ts';
import { type RatioSpacing, type Stops, spacedStops } from '../schedule/ratio-spacing.ts';
import type { Scheduler, StepOptions } from '../scheduler.ts';
import { StepPosition } from '../step-position.ts';

/** Options shared by these schedulers. */
export interface RatioConfig extends TrainingNoise, RatioSpacing {
  readonly prediction_type: PredictionType;
  readonly timestep_spacing: TimestepSpacing;
  readonly steps_offset: number;
  readonly rescale_betas_zero_snr?: boolean;
}

/** Model runs of a sampling run. */
export interface ModelRuns {
  readonly timesteps: readonly number[];
  /** Noise over picture at each timestep and after the last step. */
  readonly ratios: readonly number[];
}

/** One model run, in Karras' terms: `sample = picture + sigma · noise`. */
export interface RatioStep {
  readonly index: number;
  readonly sample: Float32Array;
  /** Predicted picture. */
  readonly picture: Float32Array;
  readonly sigma: number;
  /** Sigma of the next model run. */
  readonly next: number;
}

/**
 * Schedulers whose samples are the unscaled picture plus noise (Karras et al. 2022), and are scaled down for the model's
 * input.
 */
export abstract class RatioScheduler implements Scheduler {
  abstract readonly needsNoise: boolean;
  readonly stages: 1 | 2 = 1;
  timesteps: readonly number[] = [];
  /** Noise over picture at each timestep and after the last step. */
  sigmas: Float32Array;
  /** Noise ratio of every training timestep, ascending. */
  protected readonly table: Float32Array;
  readonly #config: RatioConfig;
  #position = new StepPosition([]);

  constructor(config: RatioConfig) {
    this.#config = config;
    const zeroSnr = config.rescale_betas_zero_snr ?? false;
    this.table = noiseRatios(cumulativeAlphas(config, zeroSnr), zeroSnr);
    this.sigmas = this.table.toReversed();
  }

  get initNoiseSigma(): number {
    const max = this.sigmas[0] ?? 0;
    return this.#config.timestep_spacing === 'leading' ? Math.hypot(max, 1) : max;
  }

  setTimesteps(count: number): void {
    const { timesteps, ratios } = this.modelRuns(this.stops(count));
    this.timesteps = timesteps;
    this.sigmas = Float32Array.from(ratios);
    this.#position = new StepPosition(timesteps, this.stages);
  }

  scaleModelInput(sample: Float32Array, t: number): Float32Array {
    const { alpha } = levelOfRatio(this.sigma(this.#position.at(t)));
    return linearCombination([alpha, sample]);
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const index = this.#position.at(t);
    const sigma = this.sigma(index);
    const level = levelOfRatio(sigma);
    const seen = linearCombination([level.alpha, sample]);
    const picture = predictPicture(this.#config.prediction_type, level, modelOutput, seen);
    const moved = this.move({ index, sample, picture, sigma, next: this.sigma(index + 1) }, options);
    this.#position.advance();
    return moved;
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    return linearCombination([1, original], [this.sigma(this.#position.find(t)), noise]);
  }

  protected abstract move(step: RatioStep, options: StepOptions): Float32Array;

  /** Stops of `count` steps as the configuration spaces them. */
  protected stops(count: number): Stops {
    const { num_train_timesteps: trainSteps, steps_offset: offset, timestep_spacing: spacing } = this.#config;
    const timesteps = spacedTimesteps(spacing, count, { trainSteps, offset }).map(Math.fround);
    const ratios = timesteps.map((t) => interpolate(this.table, t));
    const [min = 0, max = 0] = [ratios.at(-1), ratios[0]];
    return spacedStops(this.#config, this.table, { count, min, max }) ?? { timesteps, ratios };
  }

  /** Model runs for these stops: one at each stop, unless a class also runs the model in between. */
  protected modelRuns({ timesteps, ratios }: Stops): ModelRuns {
    return { timesteps: timesteps.map(Math.fround), ratios: [...ratios, 0] };
  }

  protected sigma(index: number): number {
    return this.sigmas[index] ?? 0;
  }
}

/** Moves the sample straight towards the predicted picture, to noise ratio `to` (Euler's method). */
export function eulerStep(
  { sample, picture, sigma }: Pick<RatioStep, 'sample' | 'picture' | 'sigma'>,
  to: number,
): Float32Array {
  return linearCombination([to / sigma, sample], [1 - to / sigma, picture]);
}

/** Splits a step from noise ratio `sigma` to `next`: denoise to `down`, below `next`, and add `up` of fresh noise (K. Crowson). */
export function ancestralSplit(sigma: number, next: number): { readonly down: number; readonly up: number } {
  return { down: next ** 2 / sigma, up: (next / sigma) * Math.sqrt(sigma ** 2 - next ** 2) };
}
