import { RequestError } from '../../errors.ts';
import { cast, reshape } from '../../graph/functions.ts';
import type { GraphBuilder, GraphOutput } from '../../graph/graph.ts';
import type { Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { DenoiserInputs } from '../blocks/contracting-path.ts';
import { clipText, clipTextWithProjection } from '../clip-text.ts';
import { CLIP_TOKENS, type ClipTextConfig } from '../config/clip-text-config.ts';
import type { ContractingPathConfig } from '../config/contracting-path-config.ts';
import { controlnet } from '../controlnet.ts';
import { safetyChecker } from '../safety-checker.ts';
import { unet } from '../unet.ts';
import type { Contract, Sizes } from './contract.ts';

/**
 * The contract of Apple's Core ML packages (apple/ml-stable-diffusion, torch2coreml.py) and of what loads them: fixed
 * sizes, float16 inputs and float32 outputs, token ids as float32, text as [B,C,1,S]. The VAE and the text encoder take
 * one picture and one prompt at a time.
 */
export const appleContract: Contract = {
  fixedSizes: true,

  text_encoder(at, config, { xl }) {
    const { last_hidden_state, hidden_states, pooled } = clipText(at, tokenIds(at.builder, config), config);
    return at.builder.finish([
      xl ? hiddenEmbeds(hidden_states) : { name: 'last_hidden_state', tensor: last_hidden_state },
      { name: 'pooled_outputs', tensor: pooled },
    ]);
  },

  text_encoder_2(at, config) {
    const ids = tokenIds(at.builder, config);
    const { hidden_states, text_embeds } = clipTextWithProjection(at, ids, config);
    return at.builder.finish([hiddenEmbeds(hidden_states), { name: 'pooled_outputs', tensor: text_embeds }]);
  },

  unet(at, config, sizes, attention, { controlled }) {
    const own = { latentHeight: config.sample_size[0], latentWidth: config.sample_size[1] };
    const inputs = {
      ...denoiserInputs(at.builder, config, { ...own, ...sizes }, config.time_cond_proj_dim),
      residuals: controlled ? residualInputs(at.builder) : undefined,
    };
    return at.builder.finish([{ name: 'noise_pred', tensor: unet(at, inputs, config, attention) }]);
  },

  controlnet(at, config, sizes, attention) {
    const inputs = denoiserInputs(at.builder, config, sizes, null);
    const factor = 2 ** (config.conditioning_embedding_out_channels.length - 1);
    const controlnet_cond = float16Input(at.builder, 'controlnet_cond', [
      sizes.unetBatch ?? GUIDED_BATCH,
      config.conditioning_channels,
      ...latentSize(sizes).map((size) => size * factor),
    ]);
    const residuals = controlnet(at, { ...inputs, controlnet_cond }, config, attention);
    return at.builder.finish(residuals.map((tensor, i) => ({ name: residualName(i), tensor })));
  },

  vae_decoder(at, vae, sizes) {
    const z = float16Input(at.builder, 'z', [1, vae.latent_channels, ...latentSize(sizes)]);
    return at.builder.finish([{ name: 'image', tensor: vae.decode(at, z) }]);
  },

  vae_encoder(at, vae, sizes) {
    const pixels = latentSize(sizes).map((size) => size * vae.factor);
    const x = float16Input(at.builder, 'x', [1, vae.in_channels, ...pixels]);
    return at.builder.finish([{ name: 'latent', tensor: vae.encode(at, x) }]);
  },

  safety_checker(at, config) {
    const { num_channels, image_size } = config.vision_config;
    const inputs = {
      clip_input: float16Input(at.builder, 'clip_input', [1, num_channels, image_size, image_size]),
      images: float16Input(at.builder, 'images', [1, CHECKED_SIZE, CHECKED_SIZE, 3]),
      adjustment: float16Input(at.builder, 'adjustment', [1]),
    };
    const { filtered_images, has_nsfw_concepts, concept_scores } = safetyChecker(at, inputs, config);
    return at.builder.finish([
      { name: 'filtered_images', tensor: filtered_images },
      { name: 'has_nsfw_concepts', tensor: reshape(cast(has_nsfw_concepts, 'f32'), [1, 1, 1, 1]) },
      { name: 'concept_scores', tensor: concept_scores },
    ]);
  },
};

/** One picture under classifier-free guidance: without and with the prompt. */
const GUIDED_BATCH = 2;

/** Height and width of the pictures that SafetyChecker.swift hands over, whatever the model draws: it throws for a checker of another size. */
const CHECKED_SIZE = 512;

function tokenIds(builder: GraphBuilder, { max_position_embeddings: tokens }: ClipTextConfig): Tensor {
  return builder.input('input_ids', { dtype: 'f32', shape: [1, tokens] });
}

/** The last hidden state but one, before any final normalisation: what Stable Diffusion XL was trained on. */
function hiddenEmbeds(hiddenStates: readonly Tensor[]): GraphOutput {
  const tensor = hiddenStates.at(-2);
  if (!tensor) throw new RangeError('a text encoder without layers');
  return { name: 'hidden_embeds', tensor };
}

/** What UNet and ControlNet both read. The order of these lines is that of the inputs. */
function denoiserInputs(
  builder: GraphBuilder,
  config: ContractingPathConfig,
  sizes: Sizes,
  guidanceChannels: number | null,
): DenoiserInputs {
  const { unetBatch: batch = GUIDED_BATCH, textTokens = CLIP_TOKENS } = sizes;
  const { in_channels, cross_attention_dim, added } = config;
  const input = (name: string, ...shape: readonly number[]) => float16Input(builder, name, [batch, ...shape]);
  return {
    sample: input('sample', in_channels, ...latentSize(sizes)),
    timestep: input('timestep'),
    encoder_hidden_states: input('encoder_hidden_states', cross_attention_dim, 1, textTokens),
    timestep_cond: guidanceChannels === null ? undefined : input('timestep_cond', guidanceChannels),
    added: added
      ? { time_ids: input('time_ids', added.ids), text_embeds: input('text_embeds', added.text) }
      : undefined,
  };
}

function residualInputs(builder: GraphBuilder): (shapes: readonly Shape[]) => Tensor[] {
  return (shapes) => shapes.map((shape, i) => float16Input(builder, residualName(i), shape));
}

/** One numbering for all: the skip connections in the order they are computed, the middle last. */
function residualName(index: number): string {
  return `additional_residual_${index}`;
}

/** An input declared float16; the networks are built in float32, and a rewrite to float16 takes the cast away again. */
function float16Input(builder: GraphBuilder, name: string, shape: Shape): Tensor {
  return cast(builder.input(name, { dtype: 'f16', shape }), 'f32');
}

/** Height and width of the latents: only a UNet's config says for which size it is made. */
function latentSize({ latentHeight, latentWidth }: Sizes): [height: number, width: number] {
  if (latentHeight !== undefined && latentWidth !== undefined) return [latentHeight, latentWidth];
  throw new RequestError({
    problem: 'the size of the latents is not known: a Core ML model has a fixed size.',
    advice:
      'Convert it together with its UNet, whose config says the size, or give --latent-h and --latent-w.',
  });
}
