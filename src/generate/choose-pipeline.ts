import { kindTitles } from '../checkpoint/family.ts';
import { RequestError } from '../errors.ts';
import type { DrawnUnet } from './drawn-unet.ts';

/** The pipelines. */
export type PipelineKind = 'text to image' | 'image to image' | 'inpainting' | 'image editing';

/** What a request has beside the prompt. */
export interface GivenPictures {
  readonly image?: unknown;
  readonly mask?: unknown;
  readonly strength?: number | undefined;
  readonly imageGuidanceScale?: number | undefined;
}

/** Chooses the pipeline for a UNet and a request. Throws `RequestError` for what the UNet cannot use, and for what it lacks. */
export function choosePipeline(
  { kind, family }: Pick<DrawnUnet, 'kind' | 'family'>,
  { image, mask, strength, imageGuidanceScale }: GivenPictures,
): PipelineKind {
  if (mask !== undefined && image === undefined)
    throw refusal('a mask selects what to redraw of a picture, but there is no picture.', '--image');
  if (strength !== undefined && image === undefined)
    throw refusal('a strength says how much of a picture to redraw, but there is no picture.', '--image');
  if (imageGuidanceScale !== undefined && kind !== 'pix2pix')
    throw new RequestError({
      problem: `an image guidance scale is for ${kindTitles.pix2pix}, but this UNet is for ${kindTitles[kind]}.`,
      advice: 'Leave out --image-guidance-scale.',
    });
  if (kind === 'pix2pix') {
    if (image === undefined)
      throw refusal(`the UNet is for ${kindTitles.pix2pix}: it needs a picture to edit.`, '--image');
    if (mask !== undefined)
      throw new RequestError({
        problem: `the UNet is for ${kindTitles.pix2pix}: it edits the whole picture and takes no mask.`,
        advice: 'Leave out --mask.',
      });
    if (strength !== undefined)
      throw new RequestError({
        problem: `the UNet is for ${kindTitles.pix2pix}: it starts from noise and takes no strength.`,
        advice: 'Leave out --strength; --image-guidance-scale says how closely to follow the picture.',
      });
    return 'image editing';
  }
  if (kind === 'inpainting' && mask === undefined)
    throw refusal('the UNet is for inpainting: it needs a picture and a mask.', '--image and --mask');
  if (family === 'sdxl-refiner' && image === undefined)
    throw new RequestError({
      problem: 'there is only a refiner, which finishes what a base model starts: it needs a picture.',
      advice: 'Pass --image, or convert the base model too and pass --refiner-start.',
    });
  if (mask !== undefined) return 'inpainting';
  return image === undefined ? 'text to image' : 'image to image';
}

function refusal(problem: string, missing: string): RequestError {
  return new RequestError({ problem, advice: `Pass ${missing}.` });
}
