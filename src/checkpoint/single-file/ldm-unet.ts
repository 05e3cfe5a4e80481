import { type Rule, renaming, rule, type Translate } from './translate.ts';

/**
 * Translates the UNet layout of Latent Diffusion (Rombach et al. 2022) and SGM, SDXL's original code. Blocks are
 * numbered across levels: `input_blocks.0` is conv_in, then each level has a block for each layer and one that
 * downsamples.
 */
export function ldmUnet(names: readonly string[]): Translate {
  const up = upLevels(names);
  return renaming([
    ...contractingPath(names),
    {
      // A level's last block also upsamples, after its attention if it has one.
      from: /^output_blocks\.(\d+)\.[12]\.conv\./,
      to: (block = 0) => `up_blocks.${up(block).level}.upsamplers.0.conv.`,
    },
    {
      from: /^output_blocks\.(\d+)\.0\./,
      to: (block = 0) => `up_blocks.${place(up(block), 'resnets')}.`,
      rest: resnet,
    },
    {
      from: /^output_blocks\.(\d+)\.1\./,
      to: (block = 0) => `up_blocks.${place(up(block), 'attentions')}.`,
    },
    rule(/^out\.0\./, 'conv_norm_out.'),
    rule(/^out\.2\./, 'conv_out.'),
  ]);
}

/** Place of a block: its level, and its number within the level. */
interface Place {
  readonly level: number;
  readonly layer: number;
}

type Levels = (block: number) => Place;

/** Each down level ends with a block that only downsamples. Two layers per level are assumed where no name shows it. */
function downLevels(names: readonly string[]): Levels {
  const last = numbersIn(names, /^input_blocks\.(\d+)\.0\.op\./);
  return levelsEndingAt(last.length > 0 ? last : [3, 6, 9], 1);
}

/** The last block of each up level also upsamples. */
function upLevels(names: readonly string[]): Levels {
  const last = numbersIn(names, /^output_blocks\.(\d+)\.[12]\.conv\./);
  return levelsEndingAt(last.length > 0 ? last : [2, 5, 8], 0);
}

/** `first` is the number of the first level's first block. */
function levelsEndingAt(last: readonly number[], first: number): Levels {
  return (block) => {
    const before = last.filter((end) => end < block);
    return { level: before.length, layer: block - (before.length > 0 ? Math.max(...before) + 1 : first) };
  };
}

function numbersIn(names: readonly string[], pattern: RegExp): number[] {
  return [...new Set(names.flatMap((name) => pattern.exec(name)?.[1] ?? []).map(Number))];
}

/** Rules that a ControlNet shares: embeddings, down blocks and mid block. */
export function contractingPath(names: readonly string[]): Rule[] {
  const down = downLevels(names);
  return [
    rule(/^time_embed\.0\./, 'time_embedding.linear_1.'),
    rule(/^time_embed\.2\./, 'time_embedding.linear_2.'),
    rule(/^time_embed\.cond_proj\./, 'time_embedding.cond_proj.'),
    rule(/^label_emb\.0\.0\./, 'add_embedding.linear_1.'),
    rule(/^label_emb\.0\.2\./, 'add_embedding.linear_2.'),
    rule(/^input_blocks\.0\.0\./, 'conv_in.'),
    {
      from: /^input_blocks\.(\d+)\.0\.op\./,
      to: (block = 0) => `down_blocks.${down(block).level}.downsamplers.0.conv.`,
    },
    {
      from: /^input_blocks\.(\d+)\.0\./,
      to: (block = 0) => `down_blocks.${place(down(block), 'resnets')}.`,
      rest: resnet,
    },
    {
      from: /^input_blocks\.(\d+)\.1\./,
      to: (block = 0) => `down_blocks.${place(down(block), 'attentions')}.`,
    },
    rule(/^middle_block\.0\./, 'mid_block.resnets.0.', resnet),
    rule(/^middle_block\.1\./, 'mid_block.attentions.0.'),
    rule(/^middle_block\.2\./, 'mid_block.resnets.1.', resnet),
  ];
}

const resnet: readonly Rule[] = [
  rule(/^in_layers\.0\./, 'norm1.'),
  rule(/^in_layers\.2\./, 'conv1.'),
  rule(/^emb_layers\.1\./, 'time_emb_proj.'),
  rule(/^out_layers\.0\./, 'norm2.'),
  rule(/^out_layers\.3\./, 'conv2.'),
  rule(/^skip_connection\./, 'conv_shortcut.'),
];

function place({ level, layer }: Place, layers: 'resnets' | 'attentions'): string {
  return `${level}.${layers}.${layer}`;
}
