import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { Family } from '../checkpoint/family.ts';
import { trainedFactors } from './networks/vae-variant.ts';
import { type LatentScale, latentScaleOf } from './networks/vae-variants.ts';

/** What holds for a whole checkpoint, whichever of its networks are at hand. */
export interface Traits {
  /** By the UNet; without one, `sdxl` where something else says so, and `undefined` where nothing does. */
  readonly family: Family | undefined;
  /** Whether it is Stable Diffusion XL or its refiner. */
  readonly isXl: boolean;
  /** The licence that its models are described with, as Apple's converter does. */
  readonly license: string;
  /** What its UNet's latents were multiplied by in training. */
  readonly latentFactor: number;
  /** How its VAE's latents are scaled, which may be another family's; `undefined` without a VAE. */
  readonly latentScale: LatentScale | undefined;
}

const licenses = {
  openRail: 'OpenRAIL (https://huggingface.co/spaces/CompVis/stable-diffusion-license)',
  openRailPlus:
    'OpenRAIL++-M (https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md)',
} as const;

type Marked = Pick<Checkpoint, 'family' | 'modelIndex' | 'components'>;

/** The traits of a checkpoint by all its marks: the same when a network was not downloaded, or is not converted. */
export function traitsOf(checkpoint: Marked): Traits {
  const isXl = hasMarkOfXl(checkpoint);
  const vae = checkpoint.components.get('vae');
  return {
    family: checkpoint.family ?? (isXl ? 'sdxl' : undefined),
    isXl,
    license: isXl ? licenses.openRailPlus : licenses.openRail,
    latentFactor: isXl ? trainedFactors.xl : trainedFactors.sd,
    latentScale: vae && latentScaleOf(vae),
  };
}

/** The UNet, the class of the pipeline, or a second text encoder or tokenizer: each says it alone. */
function hasMarkOfXl({ family, modelIndex, components }: Marked): boolean {
  const { _class_name: pipeline } = modelIndex;
  return (
    family === 'sdxl' ||
    family === 'sdxl-refiner' ||
    (typeof pipeline === 'string' && pipeline.startsWith('StableDiffusionXL')) ||
    components.has('text_encoder_2') ||
    ['text_encoder_2', 'tokenizer_2'].some((name) => isPresent(modelIndex[name]))
  );
}

/** Whether an entry of model_index.json is a component: `[null, null]` is none. */
function isPresent(entry: unknown): boolean {
  return Array.isArray(entry) && typeof entry[1] === 'string';
}
