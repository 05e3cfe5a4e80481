import type { Checkpoint, Component } from '../../src/checkpoint/checkpoint.ts';
import { type FullSizeModel, fullSizeCheckpoint } from '../../test/support/full-size.ts';
import { unreadWeight } from '../../test/support/memory-weight.ts';

/** A model at its real size; nothing of it can be read but names and shapes. */
export interface PublishedModel {
  readonly title: string;
  /** What it brings. */
  readonly own: Checkpoint;
  /** The same within the checkpoint that it is used with. */
  readonly whole: Checkpoint;
}

type Make = (title: string) => PublishedModel;

/** Every list of test/fixtures/full-size, and models that differ from one of these in a tensor or in where they stand. */
const models: Readonly<
  Record<FullSizeModel | 'pix2pix' | 'lcm' | 'refiner', readonly [title: string, make: Make]>
> = {
  sd15: ['Stable Diffusion 1.5', listed('sd15')],
  'sd15-inpainting': ['1.5 inpainting', listed('sd15-inpainting')],
  pix2pix: ['1.5 InstructPix2Pix: a UNet of 8 channels', (title) => alone(title, pix2pixUnet())],
  lcm: ['1.5 LCM: a UNet that is told the guidance scale', (title) => alone(title, lcmUnet())],
  'sd21-base': ['Stable Diffusion 2.1 base: 512 pixels', listed('sd21-base')],
  sd21: ['Stable Diffusion 2.1: 768 pixels, predicts v', listed('sd21')],
  sdxl: ['Stable Diffusion XL base', listed('sdxl')],
  'sdxl-refiner': ['Stable Diffusion XL refiner, alone', listed('sdxl-refiner')],
  refiner: [
    'Stable Diffusion XL refiner, beside its base',
    (title) => within('sdxl', title, new Map([['refiner', componentOf('sdxl-refiner', 'unet')]])),
  ],
  'controlnet-sd15': ['ControlNet for 1.5', listed('controlnet-sd15', 'sd15')],
  'controlnet-sd21': ['ControlNet for 2.1', listed('controlnet-sd21', 'sd21')],
  'controlnet-sdxl': ['ControlNet for XL', listed('controlnet-sdxl', 'sdxl')],
  'safety-checker': ['Safety checker', listed('safety-checker', 'sd15')],
  taesd: ['Tiny autoencoder (TAESD)', listed('taesd', 'sd15')],
  'bk-sdm-base': ['BK-SDM base, distilled from 1.5', listed('bk-sdm-base')],
  'bk-sdm-small': ['BK-SDM small', listed('bk-sdm-small')],
  'bk-sdm-tiny': ['BK-SDM tiny (tiny-sd)', listed('bk-sdm-tiny')],
  'ssd-1b': ['SSD-1B, distilled from XL', listed('ssd-1b')],
  'segmind-vega': ['Segmind Vega', listed('segmind-vega')],
  'koala-700m': ['KOALA-700M', listed('koala-700m')],
  'koala-1b': ['KOALA-1B', listed('koala-1b')],
};

/** The models that the page is about. */
export function publishedModels(): PublishedModel[] {
  return Object.values(models).map(([title, make]) => make(title));
}

/** A list as it is, or within the checkpoint that says its size. */
function listed(name: FullSizeModel, base?: FullSizeModel): Make {
  return (title) => {
    const own = fullSizeCheckpoint(name);
    return base ? within(base, title, own.components) : { title, own, whole: own };
  };
}

/** Components of their own, beside those of a checkpoint or in their place. */
function within(base: FullSizeModel, title: string, components: Checkpoint['components']): PublishedModel {
  const checkpoint = fullSizeCheckpoint(base);
  const whole = { ...checkpoint, components: new Map([...checkpoint.components, ...components]) };
  return { title, own: { ...checkpoint, components }, whole };
}

/** A UNet with nothing else. */
function alone(title: string, unet: Component): PublishedModel {
  const own = { ...fullSizeCheckpoint('sd15'), components: new Map([['unet', unet]]) };
  return { title, own, whole: own };
}

function pix2pixUnet(): Component {
  return unetWith({ in_channels: 8 }, 'conv_in.weight', [320, 8, 3, 3]);
}

function lcmUnet(): Component {
  return unetWith({ time_cond_proj_dim: 256 }, 'time_embedding.cond_proj.weight', [320, 256]);
}

/** The UNet of 1.5 with a tensor more, or another. */
function unetWith(settings: Component['config'], name: string, shape: readonly number[]): Component {
  const unet = componentOf('sd15', 'unet');
  const weights = new Map(unet.weights).set(name, unreadWeight(name, shape));
  return { ...unet, config: { ...unet.config, ...settings }, weights };
}

function componentOf(model: FullSizeModel, name: string): Component {
  const component = fullSizeCheckpoint(model).components.get(name);
  if (!component) throw new Error(`the list of ${model} has no ${name}`);
  return component;
}
