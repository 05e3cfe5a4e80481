import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { ConfigError } from '../../errors.ts';
import {
  blockType,
  type ContractingPathConfig,
  contractingPathConfig,
  contractingPathSchema,
  type Depths,
  depths,
  depthsOf,
  headsOf,
} from './contracting-path-config.ts';
import { latentSide } from './number-ranges.ts';
import { checkDivisors, checkLevels, checkSizes, only, parseConfig } from './parse-config.ts';

/** UNet2DConditionModel as in SD 1.x, 2.x and XL; defaults are diffusers', for keys that older files lack. */
const schema = contractingPathSchema.extend({
  sample_size: z.union([latentSide, z.tuple([latentSide, latentSide])], {
    error: 'a number, or a height and a width',
  }),
  out_channels: z.int(),
  center_input_sample: z.boolean().default(false),
  up_block_types: blockType('UpBlock2D', 'CrossAttnUpBlock2D'),
  time_cond_proj_dim: z.int({ error: 'a number or null' }).nullable().default(null),
  mid_block_only_cross_attention: z.literal([null, false], { error: 'null or false' }).default(null),
  dual_cross_attention: only(false),
  reverse_transformer_layers_per_block: depths.nullable().default(null),
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

/** Settings of the UNet's graph that the weights' shapes do not show. */
export interface UNetConfig
  extends ContractingPathConfig,
    Pick<Parsed, 'out_channels' | 'center_input_sample' | 'up_block_types'> {
  /** Height and width of the latents that it was trained on. */
  readonly sample_size: readonly [height: number, width: number];
  /** Transformer blocks in each attention of the up blocks, innermost level first. */
  readonly up_depths: Depths;
  /** Channels of the guidance scale embedding, for a guidance-distilled UNet (LCM); `null` for others. */
  readonly time_cond_proj_dim: number | null;
}

/** Reads and checks the UNet's config. Throws `ConfigError`. */
export function unetConfig(component: Component): UNetConfig {
  const parsed = parseConfig(schema, component);
  const { block_out_channels, up_block_types, time_cond_proj_dim } = parsed;
  const path = contractingPathConfig(component, parsed);
  checkLevels(component, {
    block_out_channels,
    up_block_types,
    reverse_transformer_layers_per_block: parsed.reverse_transformer_layers_per_block,
  });
  const attendsUp = up_block_types.map((type) => type === 'CrossAttnUpBlock2D').reverse();
  checkDivisors(component, headsOf(path, attendsUp));
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
  const { sample_size: size } = parsed;
  return {
    ...parsed,
    ...path,
    sample_size: typeof size === 'number' ? [size, size] : size,
    up_depths: upDepths(component, parsed, path),
  };
}

/**
 * Depths of the up blocks: each has one layer more than its down block, and the same depth unless the config has
 * others.
 */
function upDepths(
  component: Component,
  parsed: Parsed,
  { layers, down_depths }: ContractingPathConfig,
): Depths {
  const { transformer_layers_per_block: down, reverse_transformer_layers_per_block: up } = parsed;
  const nested = Array.isArray(down) && down.some(Array.isArray);
  if (nested && !up) {
    throw new ConfigError({
      problem: `the config of the ${component.name} has no reverse_transformer_layers_per_block.`,
      details: { file: component.configFile, 'needed for': 'transformer_layers_per_block with lists in it' },
      advice: 'The file is incomplete. Download it again.',
    });
  }
  const layersUp = layers.map((count) => count + 1).reverse();
  const own = up ?? down_depths.map((depths) => depths[0] ?? 1).reverse();
  return depthsOf(component, 'reverse_transformer_layers_per_block', own, layersUp);
}
