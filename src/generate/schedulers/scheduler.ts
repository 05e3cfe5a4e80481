import { RequestError } from '../../errors.ts';

/** What a step may need besides the model's output. */
export interface StepOptions {
  /**
   * Standard normal numbers, as many as the sample has, or a function that draws so many. Schedulers whose `needsNoise`
   * is true need it, though not in every step: a function is called only by the steps that use it, as diffusers draws.
   */
  readonly noise?: Float32Array | ((count: number) => Float32Array);
  /**
   * How much of what a step forgets comes back as noise, 0 to 1. DDIM: 0 by default, 1 adds as much as DDPM does. TCD
   * (there called γ): 0.3 by default.
   */
  readonly eta?: number;
}

/** What a walk may need besides its number of steps. */
export interface WalkOptions {
  /** How far a flow's noise is shifted towards the beginning (`use_dynamic_shifting`): see `dynamicShift`. */
  readonly mu?: number;
}

/**
 * Walks from noise to a picture: says at which timesteps the model runs, and turns each of its outputs into the next
 * sample. Samples and outputs are flat float32 arrays of any shape (latents [B, C, H, W], usually; one picture, where
 * dynamic thresholding is on); none is changed.
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
  /** The timesteps to run the model at, in order; empty before `setTimesteps`. Some classes repeat some of them. */
  readonly timesteps: readonly number[];
  /** How often the model is run in one step: image-to-image skips `stages` timesteps for each step that it skips. */
  readonly stages: 1 | 2;
  /** What standard normal noise is multiplied by to become the first sample. */
  readonly initNoiseSigma: number;
  /** Whether steps need `noise`. */
  readonly needsNoise: boolean;
  /** Starts a new walk of `count` steps. Throws `RequestError` when the schedule cannot be cut into that many. */
  setTimesteps(count: number, options?: WalkOptions): void;
  /** The sample as the model wants to see it at timestep `t`. */
  scaleModelInput(sample: Float32Array, t: number): Float32Array;
  /** The sample after the step that starts at `t`; the steps of a walk must be taken in order. */
  step(modelOutput: Float32Array, t: number, sample: Float32Array, options?: StepOptions): Float32Array;
  /** A clean picture with as much noise as the sample at timestep `t` has: where image-to-image starts. */
  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array;
}

/** `count` numbers of noise for a step. Throws `RequestError` when there are none. */
export function noiseFor(scheduler: string, { noise }: StepOptions, count: number): Float32Array {
  if (noise) return typeof noise === 'function' ? noise(count) : noise;
  throw new RequestError({
    problem: `${scheduler} adds noise in its steps and was given none.`,
    advice: 'Pass `{ noise }` to `step`: standard normal numbers, as many as the sample has.',
  });
}
