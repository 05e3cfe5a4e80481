import { type NetworkKind, type NetworkName, networkKind } from '../../../convert/contracts/contract.ts';
import type { PackageDescription } from './build-model.ts';

/** What Core ML shows of a model, to people: what it does, and what its inputs and outputs are. */
type Texts = Pick<PackageDescription, 'shortDescription' | 'features'>;

const textEncoder: Texts = {
  shortDescription: 'Turns the tokens of a prompt into the embeddings that guide Stable Diffusion.',
  features: {
    input_ids: 'Token ids of the prompt, begun, ended and padded as the tokenizer does',
    last_hidden_state: 'An embedding for every token, after the last layer and its normalization',
    hidden_embeds: 'An embedding for every token, as the last layer but one gives it',
    pooled_outputs: 'One embedding for the whole text, taken where the text ends',
  },
};

const denoiserInputs = {
  sample: 'Noisy latents, scaled as the scheduler asks',
  timestep: 'The step of the noise schedule that the latents are at, one for each row',
  encoder_hidden_states: 'Embeddings of the prompt, one column for each token; a longer prompt has to be cut',
  timestep_cond: 'An embedding of how closely the prompt is to be followed',
  time_ids: 'Sizes of the picture, in pixels: as it was, where it is cropped, as it is to be',
  text_embeds: 'The second text encoder’s embedding of the whole prompt',
};

const unet: Texts = {
  shortDescription:
    'Predicts the noise in the latents of a picture: one step of Stable Diffusion (https://arxiv.org/abs/2112.10752).',
  features: { ...denoiserInputs, noise_pred: 'The noise found in sample, in its shape' },
};

const texts: { readonly [K in NetworkKind]: Texts } = {
  text_encoder: textEncoder,
  text_encoder_2: textEncoder,
  unet,
  'control-unet': unet,
  refiner: unet,
  controlnet: {
    shortDescription:
      'Turns a picture of what is wanted (edges, depth, a pose) into what a UNet is to add to its own values (https://arxiv.org/abs/2302.05543).',
    features: { ...denoiserInputs, controlnet_cond: 'The picture to go by: red, green and blue from 0 to 1' },
  },
  vae_decoder: {
    shortDescription: 'Turns latents into a picture.',
    features: {
      z: 'Latents without noise, divided by the scaling factor of the model',
      image: 'The picture, with values from -1 to 1',
    },
  },
  vae_encoder: {
    shortDescription: 'Turns a picture into the distribution of its latents.',
    features: {
      x: 'The picture, with values from -1 to 1',
      latent: 'Mean, then logarithm of the variance of the latents, before scaling',
    },
  },
  safety_checker: {
    shortDescription: 'Blackens pictures that it takes for indecent.',
    features: {
      clip_input: 'The picture as CLIP sees it: 224 by 224 pixels, normalized, channels first',
      images: 'The picture itself, channels last',
      adjustment: 'Added to the scores of the most sensitive concepts; 0 to leave them as they are',
      filtered_images: 'The picture, or black in its place',
      has_nsfw_concepts: 'Not 0 where the picture was blackened',
      concept_scores: 'How far each concept is above its threshold',
    },
  },
};

/** Of a ControlNet's outputs; the same tensors as inputs of a UNet have no text. */
const RESIDUAL = 'To be added to what the UNet keeps at this place on its way down';

/** What a description says beyond the network. */
export interface Described {
  /** Hub id or name of the checkpoint, whose model card names the author; `version` when left out. */
  readonly modelVersion?: string;
  /** The licence of the checkpoint's family. */
  readonly license: string;
  /** The names of its outputs: how many residuals a ControlNet gives is its own affair. */
  readonly outputs?: readonly string[];
  readonly userDefined?: PackageDescription['userDefined'];
}

/**
 * The description of a model made of `version`: the Hub id or name of the checkpoint; of a refiner or a ControlNet, its
 * own.
 */
export function describeModel(
  name: NetworkName,
  version: string,
  { license, modelVersion = version, outputs = [], userDefined = {} }: Described,
): PackageDescription {
  const kind = networkKind(name);
  const { shortDescription, features } = texts[kind];
  const residuals = kind === 'controlnet' ? outputs.map((output) => [output, RESIDUAL]) : [];
  return {
    shortDescription,
    features: { ...features, ...Object.fromEntries(residuals) },
    version,
    author: `Please refer to the Model Card available at huggingface.co/${modelVersion}`,
    license,
    userDefined,
  };
}
