import type { Weight } from '../weights/weight.ts';

/** The families of models that are told apart; more of them than are converted. */
export type Family =
  | 'Stable Diffusion 1.x'
  | 'Stable Diffusion 2.x'
  | 'Stable Diffusion XL'
  | 'Stable Diffusion XL refiner';

/** What a UNet was trained for, told from what it reads beside the latents. */
export type Task = 'text to image' | 'inpainting' | 'image editing (pix2pix)' | 'depth to image';

type Shapes = ReadonlyMap<string, Pick<Weight, 'shape'>>;

/** Channels of the text that each family's UNet attends to: those of its text encoders together. */
const byTextChannels: ReadonlyMap<number, Family> = new Map([
  [768, 'Stable Diffusion 1.x'],
  [1024, 'Stable Diffusion 2.x'],
  [2048, 'Stable Diffusion XL'],
  [1280, 'Stable Diffusion XL refiner'],
]);

/**
 * The family of a UNet, or of what is shaped like one (a ControlNet, a LoRA, a single-file checkpoint), by its weights'
 * shapes. Where the width is nobody's (small models for tests), by the layers that only one family has: XL embeds sizes
 * beside the time, and 1.x enters its attention by a convolution, the others by a linear layer.
 */
export function familyOf(weights: Shapes): Family | undefined {
  const textChannels = shapeOf(weights, /attn2[._]to_k\.(lora_(A|down)\.|lora\.down\.)?weight$/)?.[1];
  const known = byTextChannels.get(textChannels ?? 0);
  if (known) return known;
  if (shapeOf(weights, /(add_embedding\.linear_1|label_emb\.0\.0)\.weight$/)) return 'Stable Diffusion XL';
  const projection = shapeOf(weights, /proj_in\.(lora_(A|down)\.|lora\.down\.)?weight$/);
  if (!projection) return undefined;
  return projection.length === 4 ? 'Stable Diffusion 1.x' : 'Stable Diffusion 2.x';
}

const byLatentChannels: ReadonlyMap<number, Task> = new Map([
  [4, 'text to image'],
  [5, 'depth to image'], // the depth
  [8, 'image editing (pix2pix)'], // the picture to be edited
  [9, 'inpainting'], // the picture and its mask
]);

/** What a UNet was trained for, by the channels that it reads. */
export function taskOf(unet: Shapes): Task | undefined {
  return byLatentChannels.get(shapeOf(unet, /^conv_in\.weight$/)?.[1] ?? 0);
}

function shapeOf(weights: Shapes, name: RegExp): readonly number[] | undefined {
  for (const [each, { shape }] of weights) if (name.test(each)) return shape;
  return undefined;
}
