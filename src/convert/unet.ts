import { add, addScalar, concat, scale, silu, upsampleNearest } from '../graph/functions.ts';
import { conv2d, groupNorm } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import type { Shape } from '../graph/shape.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { AttentionImplementation } from './blocks/attention.ts';
import { attend, contractingPath, type DenoiserInputs } from './blocks/contracting-path.ts';
import { resnetBlock } from './blocks/resnet-block.ts';
import type { UNetConfig } from './config/unet-config.ts';

/** Inputs of the UNet. */
export interface UNetInputs extends DenoiserInputs {
  /**
   * Declares a ControlNet's residuals, given the shapes that they are added to: the skip connections, then the mid
   * block's output.
   */
  readonly residuals?: ((shapes: readonly Shape[]) => readonly Tensor[]) | undefined;
}

/**
 * UNet2DConditionModel (Rombach et al. 2022): latents, a timestep and a text → the predicted noise [B,Cout,h,w]. The
 * down blocks produce skip connections; after the mid block, the up blocks concatenate them in reverse order.
 */
export function unet(
  at: Scope,
  inputs: UNetInputs,
  config: UNetConfig,
  implementation: AttentionImplementation,
): Tensor {
  const { encoder_hidden_states: context } = inputs;
  const norm = { groups: config.norm_num_groups, epsilon: config.norm_eps };
  const levels = config.block_out_channels.length;
  const sample = config.center_input_sample ? addScalar(scale(inputs.sample, 2), -1) : inputs.sample;

  const { time, ...path } = contractingPath(at, { ...inputs, sample }, config, implementation);
  const skips = withResiduals([...path.skips, path.middle], inputs.residuals);
  let h = skips.pop() ?? path.middle;

  for (const [up, type] of config.up_block_types.entries()) {
    const block = at.in(`up_blocks.${up}`);
    const level = levels - 1 - up;
    for (const [layer, depth] of (config.up_depths[up] ?? []).entries()) {
      const skip = skips.pop();
      h = resnetBlock(block.in(`resnets.${layer}`), skip ? concat([h, skip], 1) : h, norm, time);
      if (type === 'CrossAttnUpBlock2D')
        h = attend(block.in(`attentions.${layer}`), h, context, config, { level, depth }, implementation);
    }
    if (level > 0) h = conv2d(block.in('upsamplers.0.conv'), upsampleNearest(h, 2), { pad: 1 });
  }

  h = groupNorm(at.in('conv_norm_out'), h, norm);
  return conv2d(at.in('conv_out'), silu(h), { pad: 1 });
}

/** Adds to each tensor its residual, if it has one. */
function withResiduals(tensors: readonly Tensor[], residuals: UNetInputs['residuals']): Tensor[] {
  const added = residuals?.(tensors.map(({ shape }) => shape)) ?? [];
  return tensors.map((x, i) => {
    const residual = added[i];
    return residual ? add(x, residual) : x;
  });
}
