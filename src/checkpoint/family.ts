import type { Weight } from '../weights/weight.ts';

/** The supported families of Stable Diffusion. */
export type Family = 'sd1' | 'sd2' | 'sdxl' | 'sdxl-refiner';

/** Name of each family in a sentence. */
export const familyTitles: { readonly [F in Family]: string } = {
  sd1: 'Stable Diffusion 1.x',
  sd2: 'Stable Diffusion 2.x',
  sdxl: 'Stable Diffusion XL',
  'sdxl-refiner': 'Stable Diffusion XL refiner',
};

/** Task that a UNet was trained for, recognised by its inputs beside the latents. */
export type UNetKind = 'base' | 'inpainting' | 'pix2pix' | 'depth' | 'lcm';

/** Name of each kind in a sentence. */
export const kindTitles: { readonly [K in UNetKind]: string } = {
  base: 'text to image',
  inpainting: 'inpainting',
  pix2pix: 'image editing (pix2pix)',
  depth: 'depth to image',
  lcm: 'text to image in few steps (LCM)',
};

type Shapes = ReadonlyMap<string, Pick<Weight, 'shape'>>;

/** Families by `cross_attention_dim`: the channels of all text encoders together. */
const byTextChannels: ReadonlyMap<number, Family> = new Map([
  [768, 'sd1'],
  [1024, 'sd2'],
  [2048, 'sdxl'],
  [1280, 'sdxl-refiner'],
]);

/** The family whose text encoders have so many channels together; `undefined` for numbers that no published model has. */
export function familyOfTextChannels(channels: number): Family | undefined {
  return byTextChannels.get(channels);
}

/**
 * Recognises the family of a UNet (or of a ControlNet, a LoRA, a single-file checkpoint) by the width of its
 * cross-attention. Small test models have other widths: for them layers that only one family has decide. XL embeds
 * sizes beside the timestep, its refiner has a fourth level, and the proj_in of 1.x is a convolution, that of others
 * linear.
 */
export function familyOf(weights: Shapes): Family | undefined {
  const textChannels = shapeOf(weights, /attn2[._]to_k\.(lora_(A|down)\.|lora\.down\.)?weight$/)?.[1];
  const known = byTextChannels.get(textChannels ?? 0);
  if (known) return known;
  if (shapeOf(weights, /(add_embedding\.linear_1|label_emb\.0\.0)\.weight$/))
    return shapeOf(weights, /(?<![a-z_])(down_blocks\.3|input_blocks\.11)\./) ? 'sdxl-refiner' : 'sdxl';
  const projection = shapeOf(weights, /proj_in\.(lora_(A|down)\.|lora\.down\.)?weight$/);
  if (!projection) return undefined;
  return projection.length === 4 ? 'sd1' : 'sd2';
}

/** Width of the text that a network reads, by its weights; `undefined` where they do not show it. */
export function textWidth(weights: Shapes): number | undefined {
  return shapeOf(weights, /\.attn2\.to_k\.weight$/)?.[1];
}

const byLatentChannels: ReadonlyMap<number, UNetKind> = new Map([
  [4, 'base'],
  [5, 'depth'], // a depth map
  [8, 'pix2pix'], // the latents of the picture to edit
  [9, 'inpainting'], // a mask and the latents of the masked picture
]);

/** Task of a UNet, by the number of its input channels. */
export function kindByChannels(channels: number): UNetKind | undefined {
  return byLatentChannels.get(channels);
}

/** Task of a UNet (in diffusers' names), by its input channels; `lcm` embeds the guidance scale beside the timestep. */
export function kindOf(unet: Shapes): UNetKind | undefined {
  const kind = byLatentChannels.get(unet.get('conv_in.weight')?.shape[1] ?? 0);
  return kind === 'base' && unet.has('time_embedding.cond_proj.weight') ? 'lcm' : kind;
}

/**
 * Name of the published distilled UNet with the same architecture, recognised by what its distillation removed: layers,
 * the mid block or its attention, levels. `undefined` for a UNet with nothing removed.
 */
export function distilledTitle(unet: Shapes): string | undefined {
  const has = (path: string): boolean => [...unet.keys()].some((name) => name.startsWith(path));
  const [oneLayer, middle] = [!has('down_blocks.0.resnets.1.'), has('mid_block.')];
  if (unet.has('add_embedding.linear_1.weight')) {
    if (oneLayer) return middle ? 'KOALA-1B' : 'KOALA-700M';
    if (has('mid_block.attentions.') || !middle) return undefined;
    return has('down_blocks.1.attentions.1.transformer_blocks.1.') ? 'SSD-1B' : 'Segmind Vega';
  }
  if (!oneLayer) return undefined;
  if (middle) return 'BK-SDM base';
  return has('down_blocks.3.') ? 'BK-SDM small' : 'BK-SDM tiny';
}

function shapeOf(weights: Shapes, name: RegExp): readonly number[] | undefined {
  for (const [each, { shape }] of weights) if (name.test(each)) return shape;
  return undefined;
}
