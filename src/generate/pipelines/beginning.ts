import { checkArguments } from '../../io/check-call.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { beginning } from '../call-schemas.ts';
import type { Scheduler } from '../schedulers/scheduler.ts';
import type { Picture } from './denoise.ts';

/** Start of a pipeline's denoising. */
export interface Beginning {
  readonly pictures: readonly Picture[];
  readonly timesteps: readonly number[];
  /** Input channels of the UNet after those of the latents, [rows,C,h,w]. */
  readonly extra?: TensorData<'f32'>;
}

/** What every pipeline starts from. */
export interface BeginningRequest {
  /** One scheduler per picture, with the timesteps set. */
  readonly schedulers: readonly Scheduler[];
  /** Shape of one picture's latents: [1,C,h,w]. */
  readonly shape: readonly number[];
  /** Draws standard normal noise: one stream for everything, in the order in which diffusers draws. */
  readonly normal: (count: number) => Float32Array;
}

/** A VAE encoder: pixels [1,3,8h,8w] from −1 to 1 to latents [1,C,h,w]. */
export interface LatentEncoder {
  /** Samples the posterior, and scales the latents for the UNet. */
  readonly sampled: (pixels: TensorData<'f32'>) => Promise<TensorData<'f32'>>;
  /** Returns the mode of the posterior, not scaled. */
  readonly mode: (pixels: TensorData<'f32'>) => Promise<TensorData<'f32'>>;
}

/** Text to image: starts from pure noise. */
export function beginWithNoise(request: BeginningRequest): Beginning {
  checkArguments('beginWithNoise', { request: [request, beginning] });
  const pictures = request.schedulers.map((scheduler) => ({
    scheduler,
    latents: scaled(noiseOf(request), scheduler.initNoiseSigma),
  }));
  return { pictures, timesteps: request.schedulers[0]?.timesteps ?? [] };
}

/** Draws the noise of one picture. */
export function noiseOf({ shape, normal }: BeginningRequest): TensorData<'f32'> {
  return { dtype: 'f32', shape, data: normal(shape.reduce((product, size) => product * size, 1)) };
}

/** Multiplies every element by a factor. */
export function scaled({ shape, data }: TensorData<'f32'>, factor: number): TensorData<'f32'> {
  return { dtype: 'f32', shape, data: data.map((value) => value * factor) };
}
