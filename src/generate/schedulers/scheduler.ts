import { RequestError } from '../../errors.ts';

/** Options of `step`. */
export interface StepOptions {
  /**
   * Standard normal noise with as many elements as the sample, or a function that draws it. Required when `needsNoise` is
   * true. A function is called only by steps that use noise, so numbers are drawn in the same order as in diffusers.
   */
  readonly noise?: Float32Array | ((count: number) => Float32Array);
  /**
   * How stochastic a step is, from 0 to 1. DDIM (η): 0 by default, 1 adds as much noise as DDPM. TCD (γ in the paper):
   * 0.3 by default.
   */
  readonly eta?: number;
}

/** Options of `setTimesteps`. */
export interface SetTimestepsOptions {
  /** Shift of a flow's noise schedule for this picture size (`use_dynamic_shifting`): see `dynamicShift`. */
  readonly mu?: number;
}

/**
 * Denoises a sample step by step, with the interface of diffusers' schedulers: lists the timesteps to run the model at,
 * and computes the next sample from each output. Samples and outputs are flat float32 arrays of any shape (usually
 * latents [B,C,H,W]; a single picture with dynamic thresholding) and are never modified.
 *
 * @example
 * const scheduler = createScheduler(config);
 * scheduler.setTimesteps(20);
 * let latents: Float32Array = noise.map((value) => value * scheduler.initNoiseSigma);
 * for (const t of scheduler.timesteps) {
 *   const output = await unet(scheduler.scaleModelInput(latents, t), t);
 *   latents = scheduler.step(output, t, latents, { noise: (count) => rng.normal(count) });
 * }
 */
export interface Scheduler {
  /** Timesteps to run the model at, in order; empty before `setTimesteps`. Some classes repeat timesteps. */
  readonly timesteps: readonly number[];
  /** Model runs per step: image-to-image skips `stages` timesteps for each step that it skips. */
  readonly stages: 1 | 2;
  /** Factor from standard normal noise to the first sample. */
  readonly initNoiseSigma: number;
  /** Whether `step` needs `noise`. */
  readonly needsNoise: boolean;
  /** Starts a new sampling run of `count` steps. Throws `RequestError` when the schedule does not allow that many. */
  setTimesteps(count: number, options?: SetTimestepsOptions): void;
  /** Scales the sample to the model's input at timestep `t`. */
  scaleModelInput(sample: Float32Array, t: number): Float32Array;
  /** Returns the sample after the step that starts at `t`. Steps must be taken in order. */
  step(modelOutput: Float32Array, t: number, sample: Float32Array, options?: StepOptions): Float32Array;
  /** Adds noise to a clean picture, up to the level of timestep `t`: the start of image-to-image. */
  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array;
}

/** Takes `count` numbers of noise for a step. Throws `RequestError` when no noise was given. */
export function noiseFor(scheduler: string, { noise }: StepOptions, count: number): Float32Array {
  if (noise) return typeof noise === 'function' ? noise(count) : noise;
  throw new RequestError({
    problem: `${scheduler} adds noise in its steps, but no noise was given.`,
    advice: 'Pass `{ noise }` to `step`: standard normal numbers, as many as the sample has.',
  });
}
