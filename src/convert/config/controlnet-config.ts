import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import {
  type ContractingPathConfig,
  contractingPathConfig,
  contractingPathSchema,
} from './contracting-path-config.ts';
import { widths } from './number-ranges.ts';
import { checkSizes, parseConfig } from './parse-config.ts';

/** ControlNetModel as for SD 1.x, 2.x and XL; defaults are diffusers' own. */
const schema = contractingPathSchema.extend({
  conditioning_channels: z.int().default(3),
  conditioning_embedding_out_channels: widths.default([16, 32, 96, 256]),
  controlnet_conditioning_channel_order: z.enum(['rgb', 'bgr'], { error: '"rgb" or "bgr"' }).default('rgb'),
  global_pool_conditions: z
    .literal(false, {
      error: 'false (ControlNets that average their residuals over the picture are not supported)',
    })
    .default(false),
});

type Parsed = z.output<typeof schema>;

/** Settings of a ControlNet's graph that the weights' shapes do not show. */
export interface ControlNetConfig
  extends ContractingPathConfig,
    Pick<
      Parsed,
      | 'conditioning_channels'
      | 'conditioning_embedding_out_channels'
      | 'controlnet_conditioning_channel_order'
    > {}

/** Reads and checks a ControlNet's config. Throws `ConfigError`. */
export function controlnetConfig(component: Component): ControlNetConfig {
  const parsed = parseConfig(schema, component);
  checkSizes(component, [
    {
      key: 'conditioning_channels',
      value: parsed.conditioning_channels,
      weight: 'controlnet_cond_embedding.conv_in.weight',
      axis: 1,
    },
    ...parsed.conditioning_embedding_out_channels.map((value, level) => ({
      key: `conditioning_embedding_out_channels[${level}]`,
      value,
      weight: `controlnet_cond_embedding.${level === 0 ? 'conv_in' : `blocks.${2 * level - 1}`}.weight`,
      axis: 0,
    })),
  ]);
  return { ...parsed, ...contractingPathConfig(component, parsed) };
}
