import { contractingPath } from './ldm-unet.ts';
import { renaming, rule, type Translate } from './translate.ts';

/**
 * Translates the ControlNet layout of its authors (Zhang et al. 2023): the UNet's contracting path, convolutions that
 * embed the picture (every other module is an activation), and a zero convolution for each block's output.
 */
export function ldmControlNet(names: readonly string[]): Translate {
  const hints = names.flatMap((name) => /^input_hint_block\.(\d+)\./.exec(name)?.[1] ?? []).map(Number);
  const last = Math.max(0, ...hints);
  return renaming([
    ...contractingPath(names),
    {
      from: /^input_hint_block\.(\d+)\./,
      to: (hint = 0) => `controlnet_cond_embedding.${hintName(hint, last)}.`,
    },
    { from: /^zero_convs\.(\d+)\.0\./, to: (block) => `controlnet_down_blocks.${block}.` },
    rule(/^middle_block_out\.0\./, 'controlnet_mid_block.'),
  ]);
}

function hintName(hint: number, last: number): string {
  if (hint === 0) return 'conv_in';
  return hint === last ? 'conv_out' : `blocks.${hint / 2 - 1}`;
}
