import { concat, silu, slice } from '../graph/functions.ts';
import { conv2d } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import { fixedDimAt } from '../graph/shape.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { AttentionImplementation } from './blocks/attention.ts';
import { contractingPath, type DenoiserInputs } from './blocks/contracting-path.ts';
import type { ControlNetConfig } from './config/controlnet-config.ts';

/** What a ControlNet reads. */
export interface ControlNetInputs extends DenoiserInputs {
  /** The picture that guides [B,3,8h,8w], 0…1. */
  readonly controlnet_cond: Tensor;
}

/**
 * ControlNetModel (Zhang et al. 2023): what the UNet reads and a picture → residuals for each of the UNet's skip
 * connections and, last, for its middle. The UNet's way down once more, with the picture added at its beginning and a
 * 1×1 convolution at each of its results.
 */
export function controlnet(
  at: Scope,
  inputs: ControlNetInputs,
  config: ControlNetConfig,
  implementation: AttentionImplementation,
): Tensor[] {
  const hint = conditionEmbedding(at.in('controlnet_cond_embedding'), inputs.controlnet_cond, config);
  const { skips, middle } = contractingPath(at, inputs, config, implementation, hint);
  return [
    ...skips.map((skip, i) => conv2d(at.in(`controlnet_down_blocks.${i}`), skip)),
    conv2d(at.in('controlnet_mid_block'), middle),
  ];
}

/** Picture [B,3,8h,8w] → [B,C,h,w]: a convolution, then two a level, the second of which halves. */
function conditionEmbedding(at: Scope, picture: Tensor, config: ControlNetConfig): Tensor {
  const rgb = config.controlnet_conditioning_channel_order === 'rgb';
  let h = silu(conv2d(at.in('conv_in'), rgb ? picture : flipChannels(picture), { pad: 1 }));
  for (let level = 1; level < config.conditioning_embedding_out_channels.length; level++) {
    h = silu(conv2d(at.in(`blocks.${2 * level - 2}`), h, { pad: 1 }));
    h = silu(conv2d(at.in(`blocks.${2 * level - 1}`), h, { stride: 2, pad: 1 }));
  }
  return conv2d(at.in('conv_out'), h, { pad: 1 });
}

function flipChannels(x: Tensor): Tensor {
  const channels = fixedDimAt(x.shape, 1);
  const planes = Array.from({ length: channels }, (_, channel) => slice(x, 1, channel, channel + 1));
  return concat(planes.reverse(), 1);
}
