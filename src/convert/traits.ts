import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { Family } from '../checkpoint/family.ts';
import { trainedFactors } from './networks/vae-variant.ts';
import { type LatentScale, latentScaleOf } from './networks/vae-variants.ts';

/** Facts about a checkpoint as a whole, whichever of its networks are present. */
export interface Traits {
  /** Family of the UNet; without a UNet, `sdxl` where something else shows it, otherwise `undefined`. */
  readonly family: Family | undefined;
  /** Whether it is Stable Diffusion XL or its refiner. */
  readonly isXl: boolean;
  /** Licence that is written into its models, the same as by Apple's converter. */
  readonly license: string;
  /** Scaling factor of the latents that its UNet was trained on. */
  readonly latentFactor: number;
  /** Scaling of its VAE's latents; the VAE may be another family's. `undefined` without a VAE. */
  readonly latentScale: LatentScale | undefined;
}

const licenses = {
  openRail: 'OpenRAIL (https://huggingface.co/spaces/CompVis/stable-diffusion-license)',
  openRailPlus:
    'OpenRAIL++-M (https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md)',
} as const;

type Marked = Pick<Checkpoint, 'family' | 'modelIndex' | 'components'>;

/** Derives the traits of a checkpoint; they are the same when a network was not downloaded or is not converted. */
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

/** Whether it is XL: by the UNet, the pipeline's class, a second text encoder or a second tokenizer; one is enough. */
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

/** Whether an entry of model_index.json is a component: diffusers writes `[null, null]` for one that is left out. */
function isPresent(entry: unknown): boolean {
  return Array.isArray(entry) && typeof entry[1] === 'string';
}
