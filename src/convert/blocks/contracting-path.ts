import { add, concat, reshape } from '../../graph/functions.ts';
import { conv2d, linear } from '../../graph/layers.ts';
import type { Scope } from '../../graph/scope.ts';
import { dimAt, fixedDimAt } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { ContractingPathConfig } from '../config/contracting-path-config.ts';
import type { AttentionImplementation } from './attention.ts';
import { resnetBlock } from './resnet-block.ts';
import { timeMlp, timestepEmbedding } from './time-embedding.ts';
import { transformer2d } from './transformer.ts';

/** Inputs that UNet and ControlNet share. */
export interface DenoiserInputs {
  /** Noisy latents [B,Cin,h,w]. */
  readonly sample: Tensor;
  /** float32 [B], or a scalar for the whole batch. */
  readonly timestep: Tensor;
  /** Hidden states of the text encoder as tokens [B,C,1,S]. */
  readonly encoder_hidden_states: Tensor;
  /** Guidance scale embedding [B,D], where the config has `time_cond_proj_dim`. */
  readonly timestep_cond?: Tensor | undefined;
  /** SDXL's pooled text [B,P] and sizes [B,6 or 5], where the config has `addition_embed_type`. */
  readonly added?: { readonly text_embeds: Tensor; readonly time_ids: Tensor } | undefined;
}

/** Results of the contracting path. */
export interface ContractingPath {
  /** The time embedding [B or 1,T]. */
  readonly time: Tensor;
  /** Skip connections [B,C,h/2ˡ,w/2ˡ]: outputs of conv_in, each layer and each downsampler, in the order computed. */
  readonly skips: readonly Tensor[];
  /** Output of the mid block. */
  readonly middle: Tensor;
}

/**
 * The half that UNet and ControlNet share, the contracting path of Ronneberger et al. 2015: the down blocks and the mid
 * block. `hint` [B,C,h,w] is added to the output of the first convolution.
 */
export function contractingPath(
  at: Scope,
  inputs: DenoiserInputs,
  config: ContractingPathConfig,
  implementation: AttentionImplementation,
  hint?: Tensor,
): ContractingPath {
  const { encoder_hidden_states: context } = inputs;
  const norm = { groups: config.norm_num_groups, epsilon: config.norm_eps };
  const last = config.block_out_channels.length - 1;
  const time = timeEmbedding(at, inputs, config);

  let h = conv2d(at.in('conv_in'), inputs.sample, { pad: 1 });
  if (hint) h = add(h, hint);
  const skips = [h];
  for (const [level, type] of config.down_block_types.entries()) {
    const block = at.in(`down_blocks.${level}`);
    const depths = config.down_depths[level] ?? [];
    for (const [layer, depth] of depths.entries()) {
      h = resnetBlock(block.in(`resnets.${layer}`), h, norm, time);
      if (type === 'CrossAttnDownBlock2D')
        h = attend(block.in(`attentions.${layer}`), h, context, config, { level, depth }, implementation);
      skips.push(h);
    }
    if (level < last) {
      h = conv2d(block.in('downsamplers.0.conv'), h, { stride: 2, pad: 1 });
      skips.push(h);
    }
  }

  const mid = at.in('mid_block');
  if (config.mid_block_type !== null) h = resnetBlock(mid.in('resnets.0'), h, norm, time);
  if (config.mid_block_type === 'UNetMidBlock2DCrossAttn') {
    const place = { level: last, depth: config.mid_depth };
    h = attend(mid.in('attentions.0'), h, context, config, place, implementation);
    h = resnetBlock(mid.in('resnets.1'), h, norm, time);
  }
  return { time, skips, middle: h };
}

/** A transformer of `depth` blocks, with as many heads as the config has for the level. */
export function attend(
  at: Scope,
  x: Tensor,
  context: Tensor,
  config: ContractingPathConfig,
  { level, depth: layers }: { readonly level: number; readonly depth: number },
  implementation: AttentionImplementation,
): Tensor {
  const heads = config.heads[level] ?? 0;
  return transformer2d(at, x, context, { heads, layers, groups: config.norm_num_groups, implementation });
}

/** Embeds the timestep and the other conditions that hold for the whole picture: [B or 1,T]. */
function timeEmbedding(
  at: Scope,
  { timestep, timestep_cond, added }: DenoiserInputs,
  config: ContractingPathConfig,
): Tensor {
  const [channels = 0] = config.block_out_channels;
  const place = at.in('time_embedding');
  let h = timestepEmbedding(timestep, { ...config, channels });
  if (timestep_cond) h = add(linear(place.in('cond_proj'), timestep_cond, { bias: false }), h);
  h = timeMlp(place, h);
  if (!added || !config.added) return h;

  const sizes = timestepEmbedding(added.time_ids, { ...config, channels: config.added.channels }); // [B,6,C]
  const flat = reshape(sizes, [
    dimAt(sizes.shape, 0),
    fixedDimAt(sizes.shape, 1) * fixedDimAt(sizes.shape, 2),
  ]);
  return add(timeMlp(at.in('add_embedding'), concat([added.text_embeds, flat], 1)), h);
}
