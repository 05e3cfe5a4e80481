import { z } from 'zod';
import type { Component } from '../../weights/checkpoint.ts';
import { checkLevels, checkSizes, parseConfig } from './parse-config.ts';

const blockType = (...names: [string, ...string[]]) => z.array(z.enum(names, { error: names.join(' or ') }));
const count = z.int().min(1, { error: 'a number of at least 1' });
const countPerLevel = z.union([count, z.array(count)], {
  error: 'a number of at least 1, or a list of them',
});
const only = <T extends string | number | boolean | null>(value: T) =>
  z.literal(value, { error: JSON.stringify(value) }).default(value as never);

/** UNet2DConditionModel as in SD 1.x and 2.x; defaults are diffusers' own for keys that older files leave out. */
const schema = z.object({
  sample_size: z.int(),
  in_channels: z.int(),
  out_channels: z.int(),
  center_input_sample: z.boolean().default(false),
  flip_sin_to_cos: z.boolean().default(true),
  freq_shift: z.number().default(0),
  down_block_types: blockType('CrossAttnDownBlock2D', 'DownBlock2D'),
  up_block_types: blockType('UpBlock2D', 'CrossAttnUpBlock2D'),
  block_out_channels: z.array(z.int()),
  layers_per_block: z.int(),
  norm_num_groups: z.int().default(32),
  norm_eps: z.number().default(1e-5),
  cross_attention_dim: z.int(),
  transformer_layers_per_block: countPerLevel.default(1),
  // diffusers' name for what is the number of heads, kept for old files; `num_attention_heads` was never filled in for these models
  attention_head_dim: countPerLevel.default(8),
  num_attention_heads: only(null),
  act_fn: only('silu'),
  mid_block_type: only('UNetMidBlock2DCrossAttn'),
  mid_block_scale_factor: only(1),
  downsample_padding: only(1),
  only_cross_attention: only(false),
  dual_cross_attention: only(false),
  class_embed_type: only(null),
  addition_embed_type: only(null),
  encoder_hid_dim: only(null),
  resnet_time_scale_shift: only('default'),
  time_embedding_type: only('positional'),
  time_embedding_act_fn: only(null),
  timestep_post_act: only(null),
  time_cond_proj_dim: only(null),
  conv_in_kernel: only(3),
  conv_out_kernel: only(3),
  attention_type: only('default'),
  cross_attention_norm: only(null),
});

/** What the UNet's graph needs to know beyond the header; lists have one entry a level, outermost first. */
export interface UNetConfig
  extends Omit<z.output<typeof schema>, 'attention_head_dim' | 'transformer_layers_per_block'> {
  /** Attention heads of each level. */
  readonly heads: readonly number[];
  /** Transformer blocks in each attention of a level. */
  readonly transformer_layers: readonly number[];
}

/** Reads and checks the UNet's config. Throws `ConfigError`. */
export function unetConfig(component: Component): UNetConfig {
  const { attention_head_dim, transformer_layers_per_block, ...config } = parseConfig(schema, component);
  const { block_out_channels: channels, down_block_types, up_block_types } = config;
  checkLevels(component, channels.length, {
    down_block_types,
    up_block_types,
    attention_head_dim,
    transformer_layers_per_block,
  });
  const firstAttention = down_block_types.indexOf('CrossAttnDownBlock2D');
  checkSizes(component, [
    { key: 'in_channels', value: config.in_channels, weight: 'conv_in.weight', axis: 1 },
    { key: 'out_channels', value: config.out_channels, weight: 'conv_out.weight', axis: 0 },
    ...channels.map((value, level) => ({
      key: `block_out_channels[${level}]`,
      value,
      weight: `down_blocks.${level}.resnets.0.conv1.weight`,
      axis: 0,
    })),
    {
      key: 'cross_attention_dim',
      value: config.cross_attention_dim,
      weight: `down_blocks.${firstAttention}.attentions.0.transformer_blocks.0.attn2.to_k.weight`,
      axis: 1,
    },
  ]);
  const perLevel = (value: number | number[]) =>
    typeof value === 'number' ? channels.map(() => value) : value;
  return {
    ...config,
    heads: perLevel(attention_head_dim),
    transformer_layers: perLevel(transformer_layers_per_block),
  };
}
