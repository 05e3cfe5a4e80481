import { concat, silu, slice } from '../graph/functions.ts';
import { conv2d } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import { fixedDimAt } from '../graph/shape.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { AttentionImplementation } from './blocks/attention.ts';
import { contractingPath, type DenoiserInputs } from './blocks/contracting-path.ts';
import type { ControlNetConfig } from './config/controlnet-config.ts';

/** Inputs of a ControlNet. */
export interface ControlNetInputs extends DenoiserInputs {
  /** Conditioning picture [B,3,8h,8w] in 0…1. */
  readonly controlnet_cond: Tensor;
}

/**
 * ControlNetModel (Zhang et al. 2023): the UNet's inputs and a conditioning picture → residuals for each of the UNet's
 * skip connections and, last, for its mid block. It is the UNet's contracting path with weights of its own: the
 * embedded picture is added after the first convolution, and a 1×1 convolution follows each output.
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

/** Embeds a picture [B,3,8h,8w] as [B,C,h,w]: a convolution, two per level, the second with stride 2, and a last one. */
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
