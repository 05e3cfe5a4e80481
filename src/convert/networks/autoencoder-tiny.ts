import { tinyAutoencoderConfig } from '../config/tiny-autoencoder-config.ts';
import { tinyDecoder, tinyEncoder } from '../tiny-autoencoder.ts';
import type { VaeVariant } from './vae-variant.ts';

/** TAESD, which can replace the VAE of any family: one version is for the latents of 1.x and 2.x, another for XL's. */
export const autoencoderTiny: VaeVariant = {
  defaultFactor: 1, // its latents are scaled already
  isOfOneFamily: false,
  overflowsInXl: () => false,
  ignored: [],
  notes: [],
  open(component) {
    const config = tinyAutoencoderConfig(component);
    return {
      ...config,
      factor: 2 ** (config.num_encoder_blocks.length - 1),
      decode: (at, z) => tinyDecoder(at, z, config),
      encode: (at, x) => tinyEncoder(at, x, config),
    };
  },
};
