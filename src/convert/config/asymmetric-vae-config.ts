import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { groups, layers, perLevel, widths } from './number-ranges.ts';
import { checkDivisors, checkLevels, checkSizes, groupsOf, only, parseConfig } from './parse-config.ts';

/** AsymmetricAutoencoderKL; defaults are diffusers' own. */
const schema = z.object({
  in_channels: z.int().default(3),
  out_channels: z.int().default(3),
  latent_channels: z.int().default(4),
  down_block_types: perLevel(z.literal('DownEncoderBlock2D', { error: 'DownEncoderBlock2D' })),
  down_block_out_channels: widths,
  layers_per_down_block: layers.default(1),
  up_block_types: perLevel(z.literal('UpDecoderBlock2D', { error: 'UpDecoderBlock2D' })),
  up_block_out_channels: widths,
  layers_per_up_block: layers.default(1),
  norm_num_groups: groups.default(32),
  act_fn: only('silu'),
});

export type AsymmetricVaeConfig = z.output<typeof schema>;

/**
 * Reads and checks an asymmetric VAE's config: encoder and decoder must have equally many levels. Throws `ConfigError`.
 */
export function asymmetricVaeConfig(component: Component): AsymmetricVaeConfig {
  const config = parseConfig(schema, component);
  const { down_block_types, up_block_types, up_block_out_channels, down_block_out_channels } = config;
  checkLevels(component, {
    down_block_out_channels,
    down_block_types,
    up_block_types,
    up_block_out_channels,
  });
  checkSizes(component, [
    { key: 'in_channels', value: config.in_channels, weight: 'encoder.conv_in.weight', axis: 1 },
    { key: 'out_channels', value: config.out_channels, weight: 'decoder.conv_out.weight', axis: 0 },
    { key: 'latent_channels', value: config.latent_channels, weight: 'decoder.conv_in.weight', axis: 1 },
    ...down_block_out_channels.map((value, level) => ({
      key: `down_block_out_channels[${level}]`,
      value,
      weight: `encoder.down_blocks.${level}.resnets.0.conv1.weight`,
      axis: 0,
    })),
    ...up_block_out_channels.toReversed().map((value, level) => ({
      key: `up_block_out_channels[${up_block_out_channels.length - 1 - level}]`,
      value,
      weight: `decoder.up_blocks.${level}.resnets.0.conv1.weight`,
      axis: 0,
    })),
  ]);
  checkDivisors(component, [
    ...groupsOf(config.norm_num_groups, down_block_out_channels, 'down_block_out_channels'),
    ...groupsOf(config.norm_num_groups, up_block_out_channels, 'up_block_out_channels'),
  ]);
  return config;
}
