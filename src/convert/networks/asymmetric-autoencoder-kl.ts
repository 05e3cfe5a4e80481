import { asymmetricVaeConfig } from '../config/asymmetric-vae-config.ts';
import { vaeDecoder } from '../vae-decoder.ts';
import { vaeEncoder } from '../vae-encoder.ts';
import { trainedFactors, type VaeVariant } from './vae-variant.ts';

/**
 * AsymmetricAutoencoderKL (Zhu et al. 2023): the VAE of 1.x with a decoder that is wider and deeper than its encoder,
 * for sharper pictures. For inpainting, diffusers also gives the decoder the masked picture; without it, as here, it is
 * an ordinary decoder.
 */
export const asymmetricAutoencoderKl: VaeVariant = {
  defaultFactor: trainedFactors.sd,
  isOfOneFamily: true,
  overflowsInXl: () => false, // diffusers sets force_upcast to false, and there is none for XL
  ignored: [
    {
      names: /^decoder\.condition_encoder\./,
      reason: 'encodes the masked picture for inpainting, which the converted decoder does not take',
    },
  ],
  notes: [
    'the asymmetric VAE decodes latents only: it does not take the masked picture that diffusers gives it for inpainting.',
  ],
  open(component) {
    const config = asymmetricVaeConfig(component);
    const { layers_per_down_block, layers_per_up_block } = config;
    const convs = { use_quant_conv: true, use_post_quant_conv: true };
    return {
      ...config,
      factor: 2 ** (config.down_block_out_channels.length - 1),
      decode: (at, z) => vaeDecoder(at, z, { ...config, ...convs, layers_per_block: layers_per_up_block }),
      encode: (at, x) => vaeEncoder(at, x, { ...config, ...convs, layers_per_block: layers_per_down_block }),
    };
  },
};
