import type { ModelName } from '../../convert/contracts/contract.ts';
import type { PackageDescription } from './build-model.ts';

/** What Core ML shows of a model: texts about it and about its inputs and outputs, as far as Apple's contract has them. */
const texts: { readonly [K in ModelName]: Pick<PackageDescription, 'shortDescription' | 'features'> } = {
  text_encoder: {
    shortDescription: 'Turns the tokens of a prompt into the embeddings that guide Stable Diffusion.',
    features: {
      input_ids: 'Token ids of the prompt, begun, ended and padded as the tokenizer does',
      last_hidden_state: 'An embedding for every token, after the last layer and its normalization',
      pooled_outputs: 'The embedding at the token that ends the text',
    },
  },
  unet: {
    shortDescription:
      'Predicts the noise in the latents of a picture: one step of Stable Diffusion (https://arxiv.org/abs/2112.10752).',
    features: {
      sample: 'Noisy latents, scaled as the scheduler asks',
      timestep: 'The step of the noise schedule that the latents are at, one for each row',
      encoder_hidden_states:
        'Embeddings of the prompt, one column for each token; a longer prompt has to be cut',
      noise_pred: 'The noise found in sample, in its shape',
    },
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
};

/** The description of a model made of `version`, a Hub id or a name, with author and licence as Apple's converter states them. */
export function describeModel(
  name: ModelName,
  version: string,
  userDefined: PackageDescription['userDefined'] = {},
): PackageDescription {
  return {
    ...texts[name],
    version,
    author: `Please refer to the Model Card available at huggingface.co/${version}`,
    license: 'OpenRAIL (https://huggingface.co/spaces/CompVis/stable-diffusion-license)',
    userDefined,
  };
}
