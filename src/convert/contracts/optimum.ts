import { type Dim, multiplyDims, symbol } from '../../graph/dim.ts';
import { reshape, transpose } from '../../graph/functions.ts';
import type { GraphBuilder, GraphOutput } from '../../graph/graph.ts';
import { dimAt, type Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { DenoiserInputs } from '../blocks/contracting-path.ts';
import { clipText, clipTextWithProjection } from '../clip-text.ts';
import type { ClipTextConfig } from '../config/clip-text-config.ts';
import type { ContractingPathConfig } from '../config/contracting-path-config.ts';
import { controlnet } from '../controlnet.ts';
import { safetyChecker } from '../safety-checker.ts';
import { unet } from '../unet.ts';
import type { Contract, Sizes } from './contract.ts';

/**
 * The contract of optimum's ONNX pipelines: float32 at the borders, token ids int64, a timestep without dimensions,
 * text as [B,S,C], batch and (unless fixed) height and width free.
 */
export const optimumContract: Contract = {
  fixedSizes: false,

  text_encoder(at, config, { xl }) {
    const { last_hidden_state, pooled, hidden_states } = clipText(at, tokenIds(at.builder, config), config);
    return at.builder.finish([
      { name: 'last_hidden_state', tensor: last_hidden_state },
      { name: 'pooler_output', tensor: pooled },
      ...(xl ? hiddenStates(hidden_states) : []),
    ]);
  },

  text_encoder_2(at, config) {
    const ids = tokenIds(at.builder, config);
    const { last_hidden_state, text_embeds, hidden_states } = clipTextWithProjection(at, ids, config);
    return at.builder.finish([
      { name: 'text_embeds', tensor: text_embeds },
      { name: 'last_hidden_state', tensor: last_hidden_state },
      ...hiddenStates(hidden_states),
    ]);
  },

  unet(at, config, sizes, attention, { controlled }) {
    const inputs = {
      ...denoiserInputs(at.builder, config, sizes, config.time_cond_proj_dim),
      residuals: controlled ? residualInputs(at.builder) : undefined,
    };
    return at.builder.finish([{ name: 'out_sample', tensor: unet(at, inputs, config, attention) }]);
  },

  controlnet(at, config, sizes, attention) {
    const inputs = denoiserInputs(at.builder, config, sizes, null);
    const factor = 2 ** (config.conditioning_embedding_out_channels.length - 1);
    const pixels = latentSize(sizes).map((size) => multiplyDims([size, factor]));
    const controlnet_cond = at.builder.input('controlnet_cond', {
      dtype: 'f32',
      shape: [batch, config.conditioning_channels, ...pixels],
    });
    const residuals = controlnet(at, { ...inputs, controlnet_cond }, config, attention);
    const nameOf = residualName('res_sample', residuals.length);
    return at.builder.finish(residuals.map((tensor, i) => ({ name: nameOf(i), tensor })));
  },

  vae_decoder(at, vae, { latentHeight, latentWidth }) {
    const shape = [
      batch,
      vae.latent_channels,
      latentHeight ?? symbol('latent_height'),
      latentWidth ?? symbol('latent_width'),
    ];
    const z = at.builder.input('latent_sample', { dtype: 'f32', shape });
    return at.builder.finish([{ name: 'sample', tensor: vae.decode(at, z) }]);
  },

  vae_encoder(at, vae, { latentHeight, latentWidth }) {
    const pixels = (latent: number | undefined, name: string): Dim =>
      latent === undefined ? symbol(name) : multiplyDims([latent, vae.factor]);
    const shape = [
      batch,
      vae.in_channels,
      pixels(latentHeight, 'sample_height'),
      pixels(latentWidth, 'sample_width'),
    ];
    const x = at.builder.input('sample', { dtype: 'f32', shape });
    return at.builder.finish([{ name: 'latent_parameters', tensor: vae.encode(at, x) }]);
  },

  safety_checker(at, config) {
    const { num_channels, image_size } = config.vision_config;
    const input = (name: string, ...shape: Shape) => at.builder.input(name, { dtype: 'f32', shape });
    const inputs = {
      clip_input: input('clip_input', batch, num_channels, image_size, image_size),
      images: input('images', batch, symbol('height'), symbol('width'), 3),
    };
    const { filtered_images, has_nsfw_concepts } = safetyChecker(at, inputs, config);
    return at.builder.finish([
      { name: 'out_images', tensor: filtered_images },
      { name: 'has_nsfw_concepts', tensor: reshape(has_nsfw_concepts, [batch]) },
    ]);
  },
};

const batch = symbol('batch_size');

function tokenIds(builder: GraphBuilder, { max_position_embeddings: tokens }: ClipTextConfig): Tensor {
  return builder.input('input_ids', { dtype: 'i64', shape: [batch, tokens] });
}

/** The embedding, and each layer's output before any final normalisation. */
function hiddenStates(states: readonly Tensor[]): GraphOutput[] {
  return states.map((tensor, i) => ({ name: `hidden_states.${i}`, tensor }));
}

/** What UNet and ControlNet both read. The order of these lines is that of the inputs. */
function denoiserInputs(
  builder: GraphBuilder,
  config: ContractingPathConfig,
  sizes: Sizes,
  guidanceChannels: number | null,
): DenoiserInputs {
  const { in_channels, cross_attention_dim, added } = config;
  const input = (name: string, ...shape: Shape) => builder.input(name, { dtype: 'f32', shape });
  const sample = input('sample', batch, in_channels, ...latentSize(sizes));
  const timestep = input('timestep');
  const tokens = sizes.textTokens ?? symbol('sequence_length');
  const text = input('encoder_hidden_states', batch, tokens, cross_attention_dim);
  return {
    sample,
    timestep,
    encoder_hidden_states: channelsFirst(text),
    added: added
      ? {
          text_embeds: input('text_embeds', batch, added.text),
          time_ids: input('time_ids', batch, added.ids),
        }
      : undefined,
    timestep_cond: guidanceChannels === null ? undefined : input('timestep_cond', batch, guidanceChannels),
  };
}

function residualInputs(builder: GraphBuilder): (shapes: readonly Shape[]) => Tensor[] {
  return (shapes) => {
    const nameOf = residualName('additional_residual', shapes.length);
    return shapes.map((shape, i) => builder.input(nameOf(i), { dtype: 'f32', shape }));
  };
}

/** diffusers' names: the skip connections in the order they are computed, and the middle. */
function residualName(what: string, count: number): (index: number) => string {
  return (index) => (index < count - 1 ? `down_block_${what}_${index}` : `mid_block_${what}`);
}

function latentSize({ latentHeight, latentWidth }: Sizes): [height: Dim, width: Dim] {
  return [latentHeight ?? symbol('height'), latentWidth ?? symbol('width')];
}

/** Tokens [B,S,C] → [B,C,1,S], as the networks read them. */
function channelsFirst(tokens: Tensor): Tensor {
  const { shape } = tokens;
  return reshape(transpose(tokens, [0, 2, 1]), [dimAt(shape, 0), dimAt(shape, 2), 1, dimAt(shape, 1)]);
}
