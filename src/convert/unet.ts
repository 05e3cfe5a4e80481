import { addScalar, concat, scale, silu, upsampleNearest } from '../graph/functions.ts';
import { conv2d, groupNorm } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { AttentionImplementation } from './blocks/attention.ts';
import { resnetBlock } from './blocks/resnet-block.ts';
import { timeMlp, timestepEmbedding } from './blocks/time-embedding.ts';
import { type TransformerOptions, transformer2d } from './blocks/transformer.ts';
import type { UNetConfig } from './config/unet-config.ts';

/** What the UNet reads. */
export interface UNetInputs {
  /** Noisy latents [B,Cin,h,w]. */
  readonly sample: Tensor;
  /** float32 [B], or a scalar for the whole batch. */
  readonly timestep: Tensor;
  /** The text encoder's hidden states as tokens [B,C,1,S]. */
  readonly encoder_hidden_states: Tensor;
}

/**
 * UNet2DConditionModel (Rombach et al. 2022): latents, a timestep and a text → the predicted noise [B,Cout,h,w].
 * Down through the levels, each leaving skip connections behind; through the middle; up again, each level taking its
 * skip connections back.
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
  const [channels = 0] = config.block_out_channels;
  const attentionAt = (level: number): TransformerOptions => ({
    heads: config.heads[level] ?? 0,
    layers: config.transformer_layers[level] ?? 0,
    groups: config.norm_num_groups,
    implementation,
  });

  const time = timeMlp(at.in('time_embedding'), timestepEmbedding(inputs.timestep, { ...config, channels }));
  const sample = config.center_input_sample ? addScalar(scale(inputs.sample, 2), -1) : inputs.sample;

  let h = conv2d(at.in('conv_in'), sample, { pad: 1 });
  const skips = [h];
  for (const [level, type] of config.down_block_types.entries()) {
    const block = at.in(`down_blocks.${level}`);
    for (let layer = 0; layer < config.layers_per_block; layer++) {
      h = resnetBlock(block.in(`resnets.${layer}`), h, norm, time);
      if (type === 'CrossAttnDownBlock2D')
        h = transformer2d(block.in(`attentions.${layer}`), h, context, attentionAt(level));
      skips.push(h);
    }
    if (level < levels - 1) {
      h = conv2d(block.in('downsamplers.0.conv'), h, { stride: 2, pad: 1 });
      skips.push(h);
    }
  }

  const mid = at.in('mid_block');
  h = resnetBlock(mid.in('resnets.0'), h, norm, time);
  h = transformer2d(mid.in('attentions.0'), h, context, attentionAt(levels - 1));
  h = resnetBlock(mid.in('resnets.1'), h, norm, time);

  for (const [up, type] of config.up_block_types.entries()) {
    const block = at.in(`up_blocks.${up}`);
    const level = levels - 1 - up;
    for (let layer = 0; layer <= config.layers_per_block; layer++) {
      const skip = skips.pop();
      h = resnetBlock(block.in(`resnets.${layer}`), skip ? concat([h, skip], 1) : h, norm, time);
      if (type === 'CrossAttnUpBlock2D')
        h = transformer2d(block.in(`attentions.${layer}`), h, context, attentionAt(level));
    }
    if (level > 0) h = conv2d(block.in('upsamplers.0.conv'), upsampleNearest(h, 2), { pad: 1 });
  }

  h = groupNorm(at.in('conv_norm_out'), h, norm);
  return conv2d(at.in('conv_out'), silu(h), { pad: 1 });
}
