import { type Rule, renaming, rule, type Translate } from './translate.ts';

/**
 * The UNet of Latent Diffusion (Rombach et al. 2022) and of SGM, which SDXL came with. It counts its blocks through all
 * levels: `input_blocks.0` is the first convolution, then each level has a block a layer and one that downsamples.
 */
export function ldmUnet(names: readonly string[]): Translate {
  const perLevel = blocksPerLevel(names);
  return renaming([
    ...contractingPath(perLevel),
    {
      // A level's last block upsamples, behind its attention where it has one.
      from: /^output_blocks\.(\d+)\.[12]\.conv\./,
      to: (block = 0) => `up_blocks.${Math.floor(block / perLevel)}.upsamplers.0.conv.`,
    },
    {
      from: /^output_blocks\.(\d+)\.0\./,
      to: (block = 0) => `up_blocks.${place(block, perLevel, 'resnets')}.`,
      rest: resnet,
    },
    {
      from: /^output_blocks\.(\d+)\.1\./,
      to: (block = 0) => `up_blocks.${place(block, perLevel, 'attentions')}.`,
    },
    rule(/^out\.0\./, 'conv_norm_out.'),
    rule(/^out\.2\./, 'conv_out.'),
  ]);
}

/** Blocks of a level on the way down: the first that downsamples is the first level's last. Two layers where nothing shows it. */
export function blocksPerLevel(names: readonly string[]): number {
  const downsampling = names
    .flatMap((name) => /^input_blocks\.(\d+)\.0\.op\./.exec(name)?.[1] ?? [])
    .map(Number);
  return downsampling.length > 0 ? Math.min(...downsampling) : 3;
}

/** What a ControlNet has as well: the embeddings, the way down and the middle. */
export function contractingPath(perLevel: number): Rule[] {
  return [
    rule(/^time_embed\.0\./, 'time_embedding.linear_1.'),
    rule(/^time_embed\.2\./, 'time_embedding.linear_2.'),
    rule(/^time_embed\.cond_proj\./, 'time_embedding.cond_proj.'),
    rule(/^label_emb\.0\.0\./, 'add_embedding.linear_1.'),
    rule(/^label_emb\.0\.2\./, 'add_embedding.linear_2.'),
    rule(/^input_blocks\.0\.0\./, 'conv_in.'),
    {
      from: /^input_blocks\.(\d+)\.0\.op\./,
      to: (block = 0) => `down_blocks.${Math.floor((block - 1) / perLevel)}.downsamplers.0.conv.`,
    },
    {
      from: /^input_blocks\.(\d+)\.0\./,
      to: (block = 0) => `down_blocks.${place(block - 1, perLevel, 'resnets')}.`,
      rest: resnet,
    },
    {
      from: /^input_blocks\.(\d+)\.1\./,
      to: (block = 0) => `down_blocks.${place(block - 1, perLevel, 'attentions')}.`,
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

function place(block: number, perLevel: number, layers: 'resnets' | 'attentions'): string {
  return `${Math.floor(block / perLevel)}.${layers}.${block % perLevel}`;
}
