import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import {
  blockType,
  type ContractingPathConfig,
  contractingPathConfig,
  contractingPathSchema,
  only,
} from './contracting-path-config.ts';
import { checkLevels, checkSizes, parseConfig } from './parse-config.ts';

/** UNet2DConditionModel as in SD 1.x, 2.x and XL; defaults are diffusers' own for keys that older files leave out. */
const schema = contractingPathSchema.extend({
  sample_size: z.int(),
  out_channels: z.int(),
  center_input_sample: z.boolean().default(false),
  up_block_types: blockType('UpBlock2D', 'CrossAttnUpBlock2D'),
  time_cond_proj_dim: z.int({ error: 'a number or null' }).nullable().default(null),
  mid_block_only_cross_attention: z.literal([null, false], { error: 'null or false' }).default(null),
  dual_cross_attention: only(false),
  reverse_transformer_layers_per_block: only(null),
  resnet_skip_time_act: only(false),
  resnet_out_scale_factor: only(1),
  time_embedding_type: only('positional'),
  time_embedding_act_fn: only(null),
  timestep_post_act: only(null),
  conv_in_kernel: only(3),
  conv_out_kernel: only(3),
  attention_type: only('default'),
  cross_attention_norm: only(null),
});

type Parsed = z.output<typeof schema>;

/** What the UNet's graph needs to know beyond the header. */
export interface UNetConfig
  extends ContractingPathConfig,
    Pick<Parsed, 'sample_size' | 'out_channels' | 'center_input_sample' | 'up_block_types'> {
  /** Channels of the embedded guidance scale, for a UNet distilled to be told it; `null` for others. */
  readonly time_cond_proj_dim: number | null;
}

/** Reads and checks the UNet's config. Throws `ConfigError`. */
export function unetConfig(component: Component): UNetConfig {
  const parsed = parseConfig(schema, component);
  const { block_out_channels, up_block_types, time_cond_proj_dim } = parsed;
  const path = contractingPathConfig(component, parsed);
  checkLevels(component, block_out_channels.length, { up_block_types });
  checkSizes(component, [
    { key: 'out_channels', value: parsed.out_channels, weight: 'conv_out.weight', axis: 0 },
    ...(time_cond_proj_dim === null
      ? []
      : [
          {
            key: 'time_cond_proj_dim',
            value: time_cond_proj_dim,
            weight: 'time_embedding.cond_proj.weight',
            axis: 1,
          },
        ]),
  ]);
  return { ...parsed, ...path };
}
