import { silu, upsampleNearest } from '../graph/functions.ts';
import { conv2d, groupNorm } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import type { Tensor } from '../graph/tensor.ts';
import { resnetBlock } from './blocks/resnet-block.ts';
import { vaeMidBlock, vaeNorm } from './blocks/vae-mid-block.ts';
import type { VaeDecoderConfig } from './config/vae-config.ts';

/** AutoencoderKL's decoder: latents [B,4,h,w], already divided by the scaling factor → an image [B,3,8h,8w] in −1…1. */
export function vaeDecoder(at: Scope, z: Tensor, config: VaeDecoderConfig): Tensor {
  const norm = vaeNorm(config.norm_num_groups);
  const decoder = at.in('decoder');
  const levels = config.up_block_types.length;

  let h = config.use_post_quant_conv ? conv2d(at.in('post_quant_conv'), z) : z;
  h = conv2d(decoder.in('conv_in'), h, { pad: 1 });
  h = vaeMidBlock(decoder.in('mid_block'), h, norm);
  for (let level = 0; level < levels; level++) {
    const block = decoder.in(`up_blocks.${level}`);
    for (let layer = 0; layer <= config.layers_per_block; layer++)
      h = resnetBlock(block.in(`resnets.${layer}`), h, norm);
    if (level < levels - 1) h = conv2d(block.in('upsamplers.0.conv'), upsampleNearest(h, 2), { pad: 1 });
  }
  h = groupNorm(decoder.in('conv_norm_out'), h, norm);
  return conv2d(decoder.in('conv_out'), silu(h), { pad: 1 });
}
