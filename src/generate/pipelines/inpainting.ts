import { checkArguments } from '../../io/check-call.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { beginning, image as imageSchema } from '../call-schemas.ts';
import type { Image } from '../image.ts';
import { maskOf, pixelsOf, pixelsOutside } from '../image-tensor.ts';
import { type Beginning, noiseOf, scaled } from './beginning.ts';
import type { Picture } from './denoise.ts';
import { type ImageRequest, noised, timestepsOf } from './image-to-image.ts';
import { addChannels, repeatRows } from './predict-noise.ts';

/** Inputs of inpainting. */
export interface InpaintingRequest extends ImageRequest {
  /** White where the picture is redrawn; of the same size. */
  readonly mask: Image;
  /** Whether the UNet takes the mask and the masked picture as extra channels. */
  readonly isTrainedForIt: boolean;
  /** Rows of the UNet's batch. */
  readonly rows: number;
}

/**
 * Inpainting, as in diffusers' StableDiffusionInpaintPipeline: a UNet with nine channels takes the mask and the latents of
 * the masked picture as extra channels; with any other, the unmasked latents are replaced after each step by the picture's,
 * noised to the next timestep. Throws what `beginWithImage` throws.
 */
export async function beginInpainting(request: InpaintingRequest): Promise<Beginning> {
  checkArguments('beginInpainting', {
    request: [request, beginning.extend({ image: imageSchema, mask: imageSchema })],
  });
  const { image, encoder, schedulers, shape, strength, isTrainedForIt } = request;
  const timesteps = timestepsOf(request);
  const fromNoise = strength === 1;
  const original = isTrainedForIt && fromNoise ? undefined : await encoder.sampled(pixelsOf(image));
  const mask = latentMask(request.mask, shape);
  const pictures = schedulers.map((scheduler): Picture => {
    const noise = noiseOf(request);
    const latents =
      original && !fromNoise
        ? noised(scheduler, original, noise, timesteps[0] ?? 0)
        : scaled(noise, scheduler.initNoiseSigma);
    if (!original || isTrainedForIt) return { scheduler, latents };
    const restAt = (timestep: number | undefined) =>
      timestep === undefined ? original : noised(scheduler, original, noise, timestep);
    return { scheduler, latents, keep: (drawn, next) => merged(drawn, restAt(next).data, mask.data) };
  });
  // diffusers encodes the masked picture for any UNet, which draws noise.
  const isEncoded = isTrainedForIt || schedulers.some(({ needsNoise }) => needsNoise);
  const rest = isEncoded ? await encoder.sampled(pixelsOutside(image, request.mask)) : undefined;
  if (!rest || !isTrainedForIt) return { pictures, timesteps };
  return { pictures, timesteps, extra: repeatRows(addChannels(mask, rest), request.rows) };
}

/** Resizes a mask to the latents by the nearest pixel (the top left of each 8 × 8): [1,1,h,w] of 0 and 1. */
function latentMask(mask: Image, [, , height = 1, width = 1]: readonly number[]): TensorData<'f32'> {
  const pixels = maskOf(mask);
  const [down, across] = [mask.height / height, mask.width / width];
  const data = Float32Array.from({ length: height * width }, (_, i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    return pixels[Math.floor(row * down) * mask.width + Math.floor(column * across)] ?? 0;
  });
  return { dtype: 'f32', shape: [1, 1, height, width], data };
}

/** Merges latents [1,C,h,w]: redrawn where the mask [1,1,h,w] is 1, the picture's where it is 0. */
function merged(drawn: Float32Array, rest: Float32Array, mask: Float32Array): Float32Array {
  return drawn.map((value, i) => (mask[i % mask.length] === 1 ? value : (rest[i] ?? 0)));
}
