import type { Dim } from '../../graph/dim.ts';
import type { Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { DenoiserInputs } from '../blocks/contracting-path.ts';
import { CLIP_TOKENS } from '../config/clip-text-config.ts';
import type { ContractingPathConfig } from '../config/contracting-path-config.ts';
import type { BuildOptions, InputPort } from './card.ts';
import type { Axis } from './realistic.ts';

/** What the cards of UNets and ControlNets share: inputs and sizes. */

/**
 * Inputs of the forward pass: `time_ids` and `text_embeds` only in XL, `timestep_cond` only in guidance-distilled
 * UNets.
 */
export interface Inputs {
  readonly sample: Tensor;
  readonly timestep: Tensor;
  readonly encoder_hidden_states: Tensor;
  readonly timestep_cond?: Tensor;
  readonly time_ids?: Tensor;
  readonly text_embeds?: Tensor;
}

/** In the order of Apple's packages. */
export const inputs = {
  sample: {
    optimum: 'sample',
    apple: 'sample',
    axes: ['batch', 'latentChannels', 'latentHeight', 'latentWidth'],
    text: 'Noisy latents, scaled as the scheduler asks',
  },
  timestep: {
    optimum: { name: 'timestep', axes: [] },
    apple: 'timestep',
    axes: ['batch'],
    text: 'The step of the noise schedule that the latents are at, one for each row',
  },
  encoder_hidden_states: {
    optimum: 'encoder_hidden_states',
    apple: 'encoder_hidden_states',
    recorded: ['encoder_hidden_states_diffusers'],
    kind: 'text',
    axes: ['batch', 'tokens', 'textChannels'],
    text: 'Embeddings of the prompt, one column for each token; a longer prompt has to be cut',
  },
  timestep_cond: {
    optimum: 'timestep_cond',
    apple: 'timestep_cond',
    axes: ['batch', 'guidanceChannels'],
    text: 'An embedding of how closely the prompt is to be followed',
  },
  time_ids: {
    optimum: 'time_ids',
    apple: 'time_ids',
    axes: ['batch', 'timeIds'],
    text: 'Sizes of the picture, in pixels: as it was, where it is cropped, as it is to be',
  },
  text_embeds: {
    optimum: 'text_embeds',
    apple: 'text_embeds',
    axes: ['batch', 'pooledChannels'],
    text: 'The second text encoder’s embedding of the whole prompt',
  },
} as const satisfies { readonly [K in keyof Inputs]-?: InputPort };

/** optimum has the last three in reverse order. */
export const order = {
  optimum: ['sample', 'timestep', 'encoder_hidden_states', 'text_embeds', 'time_ids', 'timestep_cond'],
} as const;

/** Keys of config.json that hold the settings of realistic inputs. */
export const settings = { sampleSize: 'sample_size', textChannels: 'cross_attention_dim' } as const;

/** Groups the inputs as the forward passes take them. */
export function denoiserInputs({ text_embeds, time_ids, ...inputs }: Inputs): DenoiserInputs {
  return { ...inputs, added: text_embeds && time_ids ? { text_embeds, time_ids } : undefined };
}

/** One picture under classifier-free guidance: a row without the prompt and one with it. */
const GUIDED_BATCH = 2;

/** Dimensions of the inputs; the usual size of the latents is the config's, which a ControlNet's lacks. */
export function dims(
  { in_channels, cross_attention_dim, added }: ContractingPathConfig,
  { contract, sizes }: BuildOptions,
  [usualHeight, usualWidth]: readonly [height?: number, width?: number] = [],
) {
  return {
    batch: contract.rows(sizes.unetBatch ?? GUIDED_BATCH),
    latentChannels: in_channels,
    latentHeight: contract.size(sizes.latentHeight, 'height', usualHeight),
    latentWidth: contract.size(sizes.latentWidth, 'width', usualWidth),
    tokens: contract.size(sizes.textTokens, 'sequence_length', CLIP_TOKENS),
    textChannels: cross_attention_dim,
    timeIds: added?.ids,
    pooledChannels: added?.text,
  } satisfies { readonly [A in Axis]?: Dim | undefined };
}

/**
 * Names of a ControlNet's residuals: those for the skip connections, in the order they are computed, then the mid
 * block's.
 */
export function residuals(what: 'additional_residual' | 'res_sample') {
  return {
    optimum: (index: number, count: number) =>
      index < count - 1 ? `down_block_${what}_${index}` : `mid_block_${what}`,
    // Apple numbers them all in one series, the mid block's last.
    apple: (index: number) => `additional_residual_${index}`,
    recorded: ['additional_residual', 'down_block', 'mid_block'],
  };
}

/** Declares inputs of these shapes. */
export type ResidualInputs = (shapes: readonly Shape[]) => readonly Tensor[];
