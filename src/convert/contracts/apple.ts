import { RequestError } from '../../errors.ts';
import { cast } from '../../graph/functions.ts';
import type { GraphBuilder } from '../../graph/graph.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { clipText } from '../clip-text.ts';
import { unet } from '../unet.ts';
import { vaeDecoder } from '../vae-decoder.ts';
import { vaeEncoder } from '../vae-encoder.ts';
import type { Contract, Sizes } from './contract.ts';

/**
 * The contract of Apple's Core ML packages (apple/ml-stable-diffusion, torch2coreml.py) and of what loads them: fixed
 * sizes, float16 inputs and float32 outputs, token ids as float32, text as [B,C,1,S]. The VAE and the text encoder take
 * one picture and one prompt at a time.
 */
export const appleContract: Contract = {
  fixedSizes: true,

  text_encoder(at, config) {
    const input_ids = at.builder.input('input_ids', {
      dtype: 'f32',
      shape: [1, config.max_position_embeddings],
    });
    const { last_hidden_state, pooled } = clipText(at, input_ids, config);
    return at.builder.finish([
      { name: 'last_hidden_state', tensor: last_hidden_state },
      { name: 'pooled_outputs', tensor: pooled },
    ]);
  },

  unet(at, config, sizes, attention) {
    const { latentHeight = config.sample_size, latentWidth = config.sample_size } = sizes;
    const { unetBatch = GUIDED_BATCH, textTokens = TEXT_TOKENS } = sizes;
    const sample = float16Input(at.builder, 'sample', [
      unetBatch,
      config.in_channels,
      latentHeight,
      latentWidth,
    ]);
    const timestep = float16Input(at.builder, 'timestep', [unetBatch]);
    const text = [unetBatch, config.cross_attention_dim, 1, textTokens];
    const encoder_hidden_states = float16Input(at.builder, 'encoder_hidden_states', text);
    const noise = unet(at, { sample, timestep, encoder_hidden_states }, config, attention);
    return at.builder.finish([{ name: 'noise_pred', tensor: noise }]);
  },

  vae_decoder(at, config, sizes) {
    const z = float16Input(at.builder, 'z', [1, config.latent_channels, ...latentSize(sizes)]);
    return at.builder.finish([{ name: 'image', tensor: vaeDecoder(at, z, config) }]);
  },

  vae_encoder(at, config, sizes) {
    const factor = 2 ** (config.block_out_channels.length - 1);
    const pixels = latentSize(sizes).map((size) => size * factor);
    const x = float16Input(at.builder, 'x', [1, config.in_channels, ...pixels]);
    return at.builder.finish([{ name: 'latent', tensor: vaeEncoder(at, x, config) }]);
  },
};

/** One picture under classifier-free guidance: without and with the prompt. */
const GUIDED_BATCH = 2;

/** What every CLIP text encoder of Stable Diffusion gives. */
const TEXT_TOKENS = 77;

/** An input declared float16; the networks are built in float32, and a rewrite to float16 takes the cast away again. */
function float16Input(builder: GraphBuilder, name: string, shape: readonly number[]): Tensor {
  return cast(builder.input(name, { dtype: 'f16', shape }), 'f32');
}

/** Height and width of the latents: a VAE's own config does not say for which size its UNet is made. */
function latentSize({ latentHeight, latentWidth }: Sizes): [height: number, width: number] {
  if (latentHeight !== undefined && latentWidth !== undefined) return [latentHeight, latentWidth];
  throw new RequestError({
    problem: 'the size of the latents is not known: a Core ML VAE has a fixed size.',
    advice:
      'Convert it together with its UNet, whose config says the size, or give --latent-h and --latent-w.',
  });
}
