import { renamed, reshaped } from '../../weights/derived-weight.ts';
import { type Rule, renameBy, rule, type Translate } from './translate.ts';

/**
 * Translates the VAE layout of Latent Diffusion. Its decoder numbers levels from the picture to the latents, diffusers'
 * the other way round; its attention has 1×1 convolutions, diffusers' linear layers.
 */
export function ldmVae(names: readonly string[]): Translate {
  const ups = names.flatMap((name) => /^decoder\.up\.(\d+)\./.exec(name)?.[1] ?? []).map(Number);
  const rules = vaeRules(Math.max(0, ...ups));
  return (name, weight) => {
    const now = renameBy(rules, name);
    if (now === undefined) return undefined;
    const [outputs = 0, inputs = 0, ...kernel] = weight.shape;
    const isLinear = now.includes('.attentions.') && kernel.length > 0 && kernel.every((size) => size === 1);
    return [renamed(isLinear ? reshaped(weight, [outputs, inputs]) : weight, now)];
  };
}

function vaeRules(lastLevel: number): readonly Rule[] {
  return [
    rule(/^encoder\./, 'encoder.', [
      ...sides,
      {
        from: /^down\.(\d+)\.block\.(\d+)\./,
        to: (level, layer) => `down_blocks.${level}.resnets.${layer}.`,
        rest: resnet,
      },
      {
        from: /^down\.(\d+)\.downsample\.conv\./,
        to: (level) => `down_blocks.${level}.downsamplers.0.conv.`,
      },
    ]),
    rule(/^decoder\./, 'decoder.', [
      ...sides,
      {
        from: /^up\.(\d+)\.block\.(\d+)\./,
        to: (level = 0, layer) => `up_blocks.${lastLevel - level}.resnets.${layer}.`,
        rest: resnet,
      },
      {
        from: /^up\.(\d+)\.upsample\.conv\./,
        to: (level = 0) => `up_blocks.${lastLevel - level}.upsamplers.0.conv.`,
      },
    ]),
    rule(/^quant_conv\./, 'quant_conv.'),
    rule(/^post_quant_conv\./, 'post_quant_conv.'),
  ];
}

const resnet: readonly Rule[] = [
  rule(/^nin_shortcut\./, 'conv_shortcut.'),
  rule(/^norm1\./, 'norm1.'),
  rule(/^norm2\./, 'norm2.'),
  rule(/^conv1\./, 'conv1.'),
  rule(/^conv2\./, 'conv2.'),
];

/** Scripts that convert diffusers folders to single files keep diffusers' names here, old or new ones. */
const attention: readonly Rule[] = [
  rule(/^(group_)?norm\./, 'group_norm.'),
  rule(/^(q|to_q|query)\./, 'to_q.'),
  rule(/^(k|to_k|key)\./, 'to_k.'),
  rule(/^(v|to_v|value)\./, 'to_v.'),
  rule(/^(proj_out|to_out\.0|proj_attn)\./, 'to_out.0.'),
];

/** Rules that encoder and decoder share. */
const sides: readonly Rule[] = [
  rule(/^conv_in\./, 'conv_in.'),
  rule(/^mid\.block_1\./, 'mid_block.resnets.0.', resnet),
  rule(/^mid\.attn_1\./, 'mid_block.attentions.0.', attention),
  rule(/^mid\.block_2\./, 'mid_block.resnets.1.', resnet),
  rule(/^norm_out\./, 'conv_norm_out.'),
  rule(/^conv_out\./, 'conv_out.'),
];
