import { expect, test } from 'vitest';
import { choosePipeline, type GivenPictures } from '../../src/generate/choose-pipeline.ts';
import type { DrawnUnet } from '../../src/generate/drawn-unet.ts';

type Unet = Pick<DrawnUnet, 'kind' | 'family'>;
const base: Unet = { kind: 'base', family: 'sd1' };
const [image, mask] = ['picture', 'mask'];

test.each<[Unet, GivenPictures, string]>([
  [base, {}, 'text to image'],
  [base, { image, strength: 0.6 }, 'image to image'],
  [base, { image, mask }, 'inpainting'],
  [{ ...base, kind: 'lcm' }, { image }, 'image to image'],
  [{ ...base, kind: 'inpainting' }, { image, mask }, 'inpainting'],
  [{ ...base, kind: 'pix2pix' }, { image, imageGuidanceScale: 2 }, 'image editing'],
  [{ ...base, family: 'sdxl-refiner' }, { image }, 'image to image'],
])('%j with %j: %s', (unet, given, pipeline) => {
  expect(choosePipeline(unet, given)).toBe(pipeline);
});

test.each<[Unet, GivenPictures, string]>([
  [base, { mask }, 'a mask selects what to redraw of a picture, but there is no picture.'],
  [base, { image, imageGuidanceScale: 2 }, 'an image guidance scale is for image editing (pix2pix)'],
  [{ ...base, kind: 'inpainting' }, { image }, 'the UNet is for inpainting: it needs a picture and a mask.'],
  [{ ...base, kind: 'pix2pix' }, {}, 'the UNet is for image editing (pix2pix): it needs a picture to edit.'],
  [{ ...base, kind: 'pix2pix' }, { image, mask }, 'it edits the whole picture and takes no mask.'],
  [{ ...base, kind: 'pix2pix' }, { image, strength: 0.6 }, 'it starts from noise and takes no strength.'],
  [base, { strength: 0.6 }, 'a strength says how much of a picture to redraw, but there is no picture.'],
  [{ ...base, family: 'sdxl-refiner' }, {}, 'there is only a refiner'],
])('%j with %j is refused', (unet, given, sentence) => {
  expect(() => choosePipeline(unet, given)).toThrow(sentence);
});
