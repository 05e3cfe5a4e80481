import { reshape, transpose } from '../../graph/functions.ts';
import { type Dim, dimAt, multiplyDims, symbol } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { clipText } from '../clip-text.ts';
import { unet } from '../unet.ts';
import { vaeDecoder } from '../vae-decoder.ts';
import { vaeEncoder } from '../vae-encoder.ts';
import type { Contract } from './contract.ts';

/**
 * The contract of optimum's ONNX pipelines: float32 at the borders, token ids int64, a timestep without dimensions,
 * text as [B,S,C], batch and (unless fixed) height and width free.
 */
export const optimumContract: Contract = {
  fixedSizes: false,

  text_encoder(at, config) {
    const input_ids = at.builder.input('input_ids', {
      dtype: 'i64',
      shape: [batch, config.max_position_embeddings],
    });
    const { last_hidden_state, pooled } = clipText(at, input_ids, config);
    return at.builder.finish([
      { name: 'last_hidden_state', tensor: last_hidden_state },
      { name: 'pooler_output', tensor: pooled },
    ]);
  },

  unet(at, config, { latentHeight, latentWidth, textTokens }, attention) {
    const { builder } = at;
    const height = latentHeight ?? symbol('height');
    const width = latentWidth ?? symbol('width');
    const sample = builder.input('sample', {
      dtype: 'f32',
      shape: [batch, config.in_channels, height, width],
    });
    const timestep = builder.input('timestep', { dtype: 'f32', shape: [] });
    const text = builder.input('encoder_hidden_states', {
      dtype: 'f32',
      shape: [batch, textTokens ?? symbol('sequence_length'), config.cross_attention_dim],
    });
    const noise = unet(
      at,
      { sample, timestep, encoder_hidden_states: channelsFirst(text) },
      config,
      attention,
    );
    return builder.finish([{ name: 'out_sample', tensor: noise }]);
  },

  vae_decoder(at, config, { latentHeight, latentWidth }) {
    const shape = [
      batch,
      config.latent_channels,
      latentHeight ?? symbol('latent_height'),
      latentWidth ?? symbol('latent_width'),
    ];
    const z = at.builder.input('latent_sample', { dtype: 'f32', shape });
    return at.builder.finish([{ name: 'sample', tensor: vaeDecoder(at, z, config) }]);
  },

  vae_encoder(at, config, { latentHeight, latentWidth }) {
    const factor = 2 ** (config.block_out_channels.length - 1);
    const pixels = (latent: number | undefined, name: string): Dim =>
      latent === undefined ? symbol(name) : multiplyDims([latent, factor]);
    const shape = [
      batch,
      config.in_channels,
      pixels(latentHeight, 'sample_height'),
      pixels(latentWidth, 'sample_width'),
    ];
    const x = at.builder.input('sample', { dtype: 'f32', shape });
    return at.builder.finish([{ name: 'latent_parameters', tensor: vaeEncoder(at, x, config) }]);
  },
};

const batch = symbol('batch_size');

/** Tokens [B,S,C] → [B,C,1,S], as the networks read them. */
function channelsFirst(tokens: Tensor): Tensor {
  const { shape } = tokens;
  return reshape(transpose(tokens, [0, 2, 1]), [dimAt(shape, 0), dimAt(shape, 2), 1, dimAt(shape, 1)]);
}
