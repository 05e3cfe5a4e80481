import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { ConfigError } from '../../errors.ts';
import { shortList } from '../../io/short-list.ts';
import { epsilon, groups, layers, MOST_LAYERS, perLevel, widths } from './number-ranges.ts';
import {
  checkDivisors,
  checkLevels,
  checkSizes,
  type Divisor,
  groupsOf,
  only,
  type StatedSize,
} from './parse-config.ts';

export const blockType = (...names: [string, ...string[]]) =>
  perLevel(z.enum(names, { error: names.join(' or ') }));
const heads = z.int({ error: 'a number of at least 1' }).min(1, { error: 'a number of at least 1' });
const depth = z
  .int()
  .min(0, { error: 'a number of at least 0' })
  .max(MOST_LAYERS, { error: `a number of at most ${MOST_LAYERS}` });
const oneOrPerLevel = (number: z.ZodInt, least: number) =>
  z.union([number, perLevel(number)], { error: `a number of at least ${least}, or a list of them` });

/** Number of transformer blocks for each level, or for each attention of each level. */
export const depths = perLevel(
  z.union([depth, shortList(depth, { least: 1, most: MOST_LAYERS })]),
  'a list of numbers of at least 0, or of lists of them',
);
const sizeOrNull = z
  .int({ error: 'a number or null' })
  .min(1, { error: 'a number of at least 1, or null' })
  .nullable()
  .default(null);

/** What the number of frequencies is lowered by: diffusers' models have 0 or 1. */
const shift = z.number().min(0, { error: 'a number from 0 to 1' }).max(1, { error: 'a number from 0 to 1' });

/**
 * Keys that the configs of UNet2DConditionModel and ControlNetModel share; defaults are diffusers', for keys that older
 * files lack.
 */
export const contractingPathSchema = z.object({
  in_channels: z.int(),
  flip_sin_to_cos: z.boolean().default(true),
  freq_shift: shift.default(0),
  down_block_types: blockType('CrossAttnDownBlock2D', 'DownBlock2D'),
  mid_block_type: z
    .enum(['UNetMidBlock2DCrossAttn', 'UNetMidBlock2D'], {
      error: 'UNetMidBlock2DCrossAttn, UNetMidBlock2D or null',
    })
    .nullable()
    .default('UNetMidBlock2DCrossAttn'),
  block_out_channels: widths,
  layers_per_block: oneOrPerLevel(layers, 1),
  norm_num_groups: groups.default(32),
  norm_eps: epsilon.default(1e-5),
  cross_attention_dim: z.int({ error: 'a number' }),
  transformer_layers_per_block: z
    .union([depth, depths], { error: 'a number of at least 0, or a list of them' })
    .default(1),
  // the number of heads: diffusers keeps this misnomer for old files, and leaves `num_attention_heads` null in these models
  attention_head_dim: oneOrPerLevel(heads, 1).default(8),
  num_attention_heads: only(null),
  addition_embed_type: z.literal('text_time', { error: 'null or "text_time"' }).nullable().default(null),
  addition_time_embed_dim: sizeOrNull,
  projection_class_embeddings_input_dim: sizeOrNull,
  act_fn: only('silu'),
  mid_block_scale_factor: only(1),
  downsample_padding: only(1),
  only_cross_attention: only(false),
  class_embed_type: only(null),
  num_class_embeds: only(null),
  encoder_hid_dim: only(null),
  encoder_hid_dim_type: only(null),
  resnet_time_scale_shift: only('default'),
});

type Parsed = z.output<typeof contractingPathSchema>;

/**
 * Widths of SDXL's added conditions: `text_embeds` [B,text] and `time_ids` [B,ids], each id embedded in `channels`
 * sinusoids.
 */
export interface AddedConditions {
  readonly text: number;
  readonly ids: number;
  readonly channels: number;
}

/** Number of transformer blocks in each layer's attention, level by level. */
export type Depths = readonly (readonly number[])[];

/**
 * Settings of the contracting path that the weights' shapes do not show; lists have one entry per level, outermost
 * first.
 */
export interface ContractingPathConfig
  extends Pick<
    Parsed,
    | 'in_channels'
    | 'flip_sin_to_cos'
    | 'freq_shift'
    | 'down_block_types'
    | 'mid_block_type'
    | 'block_out_channels'
    | 'norm_num_groups'
    | 'norm_eps'
    | 'cross_attention_dim'
  > {
  /** Number of attention heads at each level. */
  readonly heads: readonly number[];
  /** Number of layers at each level. */
  readonly layers: readonly number[];
  /** Transformer blocks in each attention of the down blocks. */
  readonly down_depths: Depths;
  /** Transformer blocks in the attention of the mid block. */
  readonly mid_depth: number;
  /** Added conditions of SDXL; `null` in other families. */
  readonly added: AddedConditions | null;
}

/** Checks the lists and sizes of a parsed config against each other and against the weights. Throws `ConfigError`. */
export function contractingPathConfig(component: Component, parsed: Parsed): ContractingPathConfig {
  const { attention_head_dim, transformer_layers_per_block, layers_per_block } = parsed;
  const { down_block_types, block_out_channels: channels } = parsed;
  checkLevels(component, {
    block_out_channels: channels,
    down_block_types,
    attention_head_dim,
    transformer_layers_per_block,
    layers_per_block,
  });
  checkSizes(component, statedSizes(parsed));
  const heads = levels(attention_head_dim, channels.length);
  checkDivisors(component, [
    ...groupsOf(parsed.norm_num_groups, channels, 'block_out_channels'),
    ...headsOf({ ...parsed, heads }, attentionLevels(parsed)),
    ...sinusoidsOf(parsed),
  ]);
  const layers = levels(layers_per_block, channels.length);
  const depths = levels(transformer_layers_per_block, channels.length);
  return {
    ...parsed,
    layers,
    heads,
    down_depths: depthsOf(component, 'transformer_layers_per_block', depths, layers),
    mid_depth: [depths.at(-1) ?? 1].flat()[0] ?? 1,
    added: addedConditions(component, parsed),
  };
}

function attentionLevels({ block_out_channels, down_block_types, mid_block_type }: Parsed): boolean[] {
  return block_out_channels.map((_, level) => {
    const isLast = level === block_out_channels.length - 1;
    return (
      down_block_types[level] === 'CrossAttnDownBlock2D' ||
      (isLast && mid_block_type === 'UNetMidBlock2DCrossAttn')
    );
  });
}

/** Heads of the levels that have attention, which must divide their widths. */
export function headsOf(
  { block_out_channels, heads }: Pick<ContractingPathConfig, 'block_out_channels' | 'heads'>,
  attends: readonly boolean[],
): Divisor[] {
  return block_out_channels.flatMap((width, level) => {
    const value = heads[level] ?? 1;
    return attends[level]
      ? [{ key: 'attention_head_dim', value, of: `block_out_channels[${level}]`, width }]
      : [];
  });
}

/** A number is embedded in as many sines as cosines. */
function sinusoidsOf({ block_out_channels: [first = 0], addition_time_embed_dim: added }: Parsed): Divisor[] {
  const halves = { key: 'the number of sines and cosines', value: 2 };
  return [
    { ...halves, of: 'block_out_channels[0]', width: first },
    ...(added === null ? [] : [{ ...halves, of: 'addition_time_embed_dim', width: added }]),
  ];
}

/** Repeats a value that holds for all levels; a list is returned as it is. */
function levels<T>(value: T | T[], count: number): T[] {
  return Array.isArray(value) ? value : Array.from({ length: count }, () => value);
}

/**
 * Expands depths to one for each attention: a single number holds for all layers of its level. Throws `ConfigError` for
 * a list of another length.
 */
export function depthsOf(
  component: Component,
  key: string,
  depths: readonly (number | number[])[],
  layers: readonly number[],
): Depths {
  return depths.map((depth, level) => {
    const count = layers[level] ?? 0;
    const each = typeof depth === 'number' ? Array.from({ length: count }, () => depth) : depth;
    if (each.length === count) return each;
    throw new ConfigError({
      problem: `the config of the ${component.name} contradicts itself: ${key}[${level}] has ${each.length} entries for ${count} layers.`,
      details: { file: component.configFile },
      advice: 'Download the file again, or take it from the same source as the weights.',
    });
  });
}

function statedSizes(parsed: Parsed): StatedSize[] {
  const { block_out_channels, projection_class_embeddings_input_dim: added } = parsed;
  const firstAttention = parsed.down_block_types.indexOf('CrossAttnDownBlock2D');
  return [
    { key: 'in_channels', value: parsed.in_channels, weight: 'conv_in.weight', axis: 1 },
    ...block_out_channels.map((value, level) => ({
      key: `block_out_channels[${level}]`,
      value,
      weight: `down_blocks.${level}.resnets.0.conv1.weight`,
      axis: 0,
    })),
    {
      key: 'cross_attention_dim',
      value: parsed.cross_attention_dim,
      weight: `down_blocks.${firstAttention}.attentions.0.transformer_blocks.0.attn2.to_k.weight`,
      axis: 1,
    },
    ...(added === null
      ? []
      : [
          {
            key: 'projection_class_embeddings_input_dim',
            value: added,
            weight: 'add_embedding.linear_1.weight',
            axis: 1,
          },
        ]),
  ];
}

/**
 * The config has only the width of text and time_ids together. SDXL reads six time_ids (original size, crop offset,
 * target size), its refiner five (an aesthetic score instead of the target size). The refiner has a single text
 * encoder, whose pooled text is as wide as its tokens: that identifies it.
 */
function addedConditions(component: Component, parsed: Parsed): AddedConditions | null {
  if (parsed.addition_embed_type === null) return null;
  const { addition_time_embed_dim: channels, projection_class_embeddings_input_dim: width } = parsed;
  if (channels === null || width === null) {
    const key = channels === null ? 'addition_time_embed_dim' : 'projection_class_embeddings_input_dim';
    throw new ConfigError({
      problem: `the config of the ${component.name} has no ${key}.`,
      details: { file: component.configFile, 'needed for': 'addition_embed_type = "text_time"' },
      advice: 'The file is incomplete. Download it again.',
    });
  }
  const ids = width - parsed.cross_attention_dim === 5 * channels ? 5 : 6;
  const text = width - ids * channels;
  if (text > 0) return { text, ids, channels };
  throw new ConfigError({
    problem: `the config of the ${component.name} contradicts itself: ${ids} time_ids of ${channels} channels do not fit into projection_class_embeddings_input_dim = ${width}.`,
    details: { file: component.configFile },
    advice: 'Download the file again, or take it from the same source as the weights.',
  });
}
