import { contractingPath } from './ldm-unet.ts';
import { renaming, rule, type Translate } from './translate.ts';

/**
 * A ControlNet as its authors published it (Zhang et al. 2023): half a UNet, the convolutions that bring the picture in
 * (every other module is an activation), and one that brings each block's result out.
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
