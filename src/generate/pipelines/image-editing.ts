import { checkArguments, number } from '../../io/check-call.ts';
import { beginning, image as imageSchema } from '../call-schemas.ts';
import type { Image } from '../image.ts';
import { pixelsOf } from '../image-tensor.ts';
import { zeroRows } from '../sdxl-conditioning.ts';
import {
  type Beginning,
  type BeginningRequest,
  beginWithNoise,
  type LatentEncoder,
  scaled,
} from './beginning.ts';
import { type Guidance, imageAndPrompt, unguided } from './guidance.ts';
import { repeatRows } from './predict-noise.ts';

/** Inputs of InstructPix2Pix. */
export interface EditingRequest extends BeginningRequest {
  readonly image: Image;
  readonly encoder: LatentEncoder;
  readonly guidance: Guidance;
  /** Factor of the picture's latents. Default: 1; CosXL Edit takes them scaled as those that it draws. */
  readonly pictureFactor?: number | undefined;
}

/** Guidance with two scales; a guidance scale of 1 or less, or an image guidance scale below 1, turns both off, as in diffusers. */
export function editingGuidance(scale: number, imageScale: number): Guidance {
  checkArguments('editingGuidance', { scale: [scale, number], imageScale: [imageScale, number] });
  return scale > 1 && imageScale >= 1 ? imageAndPrompt(scale, imageScale) : unguided;
}

/**
 * InstructPix2Pix: starts from pure noise, with the picture's latents as extra channels (zeros in the unconditional row), as
 * diffusers' StableDiffusionInstructPix2PixPipeline and that of XL do. Throws what the encoder throws.
 */
export async function beginEditing(given: EditingRequest): Promise<Beginning> {
  checkArguments('beginEditing', { request: [given, beginning.extend({ image: imageSchema })] });
  const { image, encoder, guidance, pictureFactor = 1, ...request } = given;
  const latents = scaled(await encoder.mode(pixelsOf(image)), pictureFactor);
  const { length: rows } = guidance.rows;
  const extra = zeroRows(repeatRows(latents, rows), rows > 1 ? [rows - 1] : []);
  return { ...beginWithNoise(request), extra };
}
