import { checkArguments } from '../../io/check-call.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { beginning, image as imageSchema } from '../call-schemas.ts';
import type { Image } from '../image.ts';
import { pixelsOf } from '../image-tensor.ts';
import type { Scheduler } from '../schedulers/scheduler.ts';
import { type Beginning, type BeginningRequest, type LatentEncoder, noiseOf } from './beginning.ts';
import { timestepsLeft } from './timesteps.ts';

/** Inputs of image-to-image. */
export interface ImageRequest extends BeginningRequest {
  readonly image: Image;
  readonly encoder: LatentEncoder;
  /** Steps of the scheduler, of which `strength` is run. */
  readonly steps: number;
  /** Share of the steps that are run, which redraws as much of the picture: above 0, at most 1. */
  readonly strength: number;
}

/**
 * Image-to-image: starts from the noised latents of a picture, as diffusers' StableDiffusionImg2ImgPipeline does. Throws
 * `RequestError` when the strength leaves no step, and what the encoder throws.
 */
export async function beginWithImage(request: ImageRequest): Promise<Beginning> {
  checkArguments('beginWithImage', { request: [request, beginning.extend({ image: imageSchema })] });
  const timesteps = timestepsOf(request);
  const original = await request.encoder.sampled(pixelsOf(request.image));
  const pictures = request.schedulers.map((scheduler) => ({
    scheduler,
    latents: noised(scheduler, original, noiseOf(request), timesteps[0] ?? 0),
  }));
  return { pictures, timesteps };
}

/** Timesteps that are run. Throws `RequestError` when there are none. */
export function timestepsOf({ schedulers, steps, strength }: ImageRequest): readonly number[] {
  const [scheduler] = schedulers;
  return scheduler ? timestepsLeft(scheduler, steps, strength) : [];
}

/** Adds noise to latents, up to the level of a timestep. */
export function noised(
  scheduler: Scheduler,
  { shape, data }: TensorData<'f32'>,
  noise: TensorData<'f32'>,
  timestep: number,
): TensorData<'f32'> {
  return { dtype: 'f32', shape, data: scheduler.addNoise(data, noise.data, timestep) };
}
