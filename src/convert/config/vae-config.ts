import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { groups, layers, perLevel, widths } from './number-ranges.ts';
import { checkDivisors, checkLevels, checkSizes, groupsOf, only, parseConfig } from './parse-config.ts';

/** AutoencoderKL; defaults are diffusers' own. */
const schema = z.object({
  in_channels: z.int().default(3),
  out_channels: z.int().default(3),
  latent_channels: z.int().default(4),
  block_out_channels: widths,
  layers_per_block: layers.default(1),
  norm_num_groups: groups.default(32),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  act_fn: only('silu'),
  mid_block_add_attention: only(true),
  down_block_types: perLevel(z.literal('DownEncoderBlock2D', { error: 'DownEncoderBlock2D' })),
  up_block_types: perLevel(z.literal('UpDecoderBlock2D', { error: 'UpDecoderBlock2D' })),
});

export type VaeConfig = z.output<typeof schema>;

/** Settings of the encoder's graph that the weights' shapes do not show. */
export type VaeEncoderConfig = Pick<
  VaeConfig,
  'norm_num_groups' | 'layers_per_block' | 'down_block_types' | 'use_quant_conv'
>;

/** Settings of the decoder's graph that the weights' shapes do not show. */
export type VaeDecoderConfig = Pick<
  VaeConfig,
  'norm_num_groups' | 'layers_per_block' | 'up_block_types' | 'use_post_quant_conv'
>;

/** Reads and checks the VAE's config. Throws `ConfigError`. */
export function vaeConfig(component: Component): VaeConfig {
  const config = parseConfig(schema, component);
  const { down_block_types, up_block_types } = config;
  checkLevels(component, {
    block_out_channels: config.block_out_channels,
    down_block_types,
    up_block_types,
  });
  checkSizes(component, [
    { key: 'in_channels', value: config.in_channels, weight: 'encoder.conv_in.weight', axis: 1 },
    { key: 'out_channels', value: config.out_channels, weight: 'decoder.conv_out.weight', axis: 0 },
    { key: 'latent_channels', value: config.latent_channels, weight: 'decoder.conv_in.weight', axis: 1 },
    ...config.block_out_channels.map((value, level) => ({
      key: `block_out_channels[${level}]`,
      value,
      weight: `encoder.down_blocks.${level}.resnets.0.conv1.weight`,
      axis: 0,
    })),
  ]);
  checkDivisors(component, groupsOf(config.norm_num_groups, config.block_out_channels, 'block_out_channels'));
  return config;
}
