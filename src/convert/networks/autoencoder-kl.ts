import { vaeConfig } from '../config/vae-config.ts';
import { vaeDecoder } from '../vae-decoder.ts';
import { vaeEncoder } from '../vae-encoder.ts';
import { trainedFactors, type VaeVariant } from './vae-variant.ts';

/** The VAE of every Stable Diffusion. */
export const autoencoderKl: VaeVariant = {
  defaultFactor: trainedFactors.sd,
  isOfOneFamily: true,
  // diffusers computes such a VAE in float32 unless its config, where it was trained again to avoid that, says otherwise.
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
