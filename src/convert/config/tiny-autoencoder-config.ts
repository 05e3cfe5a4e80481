import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { MOST_LAYERS, perLevel } from './number-ranges.ts';
import { checkSizes, only, parseConfig } from './parse-config.ts';

const blockCounts = perLevel(z.int().min(0).max(MOST_LAYERS));

/** AutoencoderTiny; defaults are diffusers' own. */
const schema = z.object({
  in_channels: z.int().default(3),
  latent_channels: z.int().default(4),
  num_encoder_blocks: blockCounts.default([1, 3, 3, 3]),
  num_decoder_blocks: blockCounts.default([3, 3, 3, 1]),
  upsampling_scaling_factor: z.int().min(1).default(2),
  act_fn: only('relu'),
  upsample_fn: only('nearest'),
});

export type TinyAutoencoderConfig = z.output<typeof schema>;

/** Reads and checks a tiny autoencoder's config. Throws `ConfigError`. */
export function tinyAutoencoderConfig(component: Component): TinyAutoencoderConfig {
  const config = parseConfig(schema, component);
  checkSizes(component, [
    { key: 'in_channels', value: config.in_channels, weight: 'encoder.layers.0.weight', axis: 1 },
    { key: 'latent_channels', value: config.latent_channels, weight: 'decoder.layers.0.weight', axis: 1 },
  ]);
  return config;
}
