import { RequestError } from '../../errors.ts';

/** What a step may need besides the model's output. */
export interface StepOptions {
  /** Standard normal numbers, as many as the sample has; required by schedulers whose `needsNoise` is true. */
  readonly noise?: Float32Array;
  /** DDIM only: 0 (the default) walks without noise, 1 adds as much as DDPM does. */
  readonly eta?: number;
}

/**
 * Walks from noise to a picture: says at which timesteps the model runs, and turns each of its outputs into the next
 * sample. Samples and outputs are flat float32 arrays of any shape (latents [B, C, H, W], usually); none is changed.
 *
 * @example
 * const scheduler = createScheduler(config);
 * scheduler.setTimesteps(20);
 * let latents: Float32Array = noise.map((value) => value * scheduler.initNoiseSigma);
 * for (const t of scheduler.timesteps) {
 *   const output = await unet(scheduler.scaleModelInput(latents, t), t);
 *   latents = scheduler.step(output, t, latents);
 * }
 */
export interface Scheduler {
  /** The timesteps to run the model at, in order; empty before `setTimesteps`. PNDM repeats one of them. */
  readonly timesteps: readonly number[];
  /** What standard normal noise is multiplied by to become the first sample. */
  readonly initNoiseSigma: number;
  /** Whether every `step` needs `noise`. */
  readonly needsNoise: boolean;
  /** Starts a new walk of `count` steps. Throws `RequestError` when the schedule cannot be cut into that many. */
  setTimesteps(count: number): void;
  /** The sample as the model wants to see it at timestep `t`. */
  scaleModelInput(sample: Float32Array, t: number): Float32Array;
  /** The sample after the step that starts at `t`; the steps of a walk must be taken in order. */
  step(modelOutput: Float32Array, t: number, sample: Float32Array, options?: StepOptions): Float32Array;
  /** A clean picture with as much noise as the sample at timestep `t` has: where image-to-image starts. */
  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array;
}

/** The noise of a step that needs some. Throws `RequestError` when there is none. */
export function noiseFor(scheduler: string, { noise }: StepOptions): Float32Array {
  if (noise) return noise;
  throw new RequestError({
    problem: `${scheduler} adds noise in every step and was given none.`,
    advice: 'Pass `{ noise }` to `step`: standard normal numbers, as many as the sample has.',
  });
}
