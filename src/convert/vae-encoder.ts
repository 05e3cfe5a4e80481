import { silu } from '../graph/functions.ts';
import { conv2d, groupNorm } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import type { Tensor } from '../graph/tensor.ts';
import { resnetBlock } from './blocks/resnet-block.ts';
import { vaeMidBlock, vaeNorm } from './blocks/vae-mid-block.ts';
import type { VaeEncoderConfig } from './config/vae-config.ts';

/** AutoencoderKL's encoder: an image [B,3,8h,8w] in −1…1 → mean and log variance of its latents [B,8,h,w], unscaled. */
export function vaeEncoder(at: Scope, x: Tensor, config: VaeEncoderConfig): Tensor {
  const norm = vaeNorm(config.norm_num_groups);
  const encoder = at.in('encoder');
  const levels = config.down_block_types.length;

  let h = conv2d(encoder.in('conv_in'), x, { pad: 1 });
  for (let level = 0; level < levels; level++) {
    const block = encoder.in(`down_blocks.${level}`);
    for (let layer = 0; layer < config.layers_per_block; layer++)
      h = resnetBlock(block.in(`resnets.${layer}`), h, norm);
    // Unlike the UNet's, this downsampler pads only below and to the right.
    const pad = { top: 0, left: 0, bottom: 1, right: 1 };
    if (level < levels - 1) h = conv2d(block.in('downsamplers.0.conv'), h, { stride: 2, pad });
  }
  h = vaeMidBlock(encoder.in('mid_block'), h, norm);
  h = groupNorm(encoder.in('conv_norm_out'), h, norm);
  h = conv2d(encoder.in('conv_out'), silu(h), { pad: 1 });
  return config.use_quant_conv ? conv2d(at.in('quant_conv'), h) : h;
}
