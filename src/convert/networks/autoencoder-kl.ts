import { vaeConfig } from '../config/vae-config.ts';
import { vaeDecoder } from '../vae-decoder.ts';
import { vaeEncoder } from '../vae-encoder.ts';
import { trainedFactors, type VaeVariant } from './vae-variant.ts';

/** The VAE of Stable Diffusion 1.x, 2.x and XL. */
export const autoencoderKl: VaeVariant = {
  defaultFactor: trainedFactors.sd,
  isOfOneFamily: true,
  // diffusers upcasts XL's VAE to float32, unless its config says false: it was fine-tuned for float16.
  overflowsInXl: (config) => config.force_upcast !== false,
  ignored: [],
  notes: [],
  open(component) {
    const config = vaeConfig(component);
    return {
      ...config,
      factor: 2 ** (config.block_out_channels.length - 1),
      decode: (at, z) => vaeDecoder(at, z, config),
      encode: (at, x) => vaeEncoder(at, x, config),
    };
  },
};
