import { renamed, rowsOf, transposed } from '../../weights/derived-weight.ts';
import type { Weight } from '../../weights/weight.ts';
import { type Rule, renameBy, rule, type Translate } from './translate.ts';

/**
 * Translates OpenCLIP's text encoder (of Stable Diffusion 2.x, and SDXL's second) to transformers' CLIPTextModel: q, k
 * and v projections are the rows of one tensor, and the text projection is transposed.
 */
export function openClip(part: 'text_encoder' | 'text_encoder_2'): Translate {
  return (name, weight) => {
    // Stable Diffusion 2.x uses the penultimate hidden state, so diffusers drops the last layer and the projection.
    if (part === 'text_encoder' && /^(text_projection|transformer\.resblocks\.23\.)/.test(name)) return [];
    if (name === 'text_projection') return [renamed(transposed(weight), 'text_projection.weight')];
    const now = renameBy(rules, name);
    if (now === undefined) return undefined;
    const [, attention, kind] = /^(.+\.)in_proj_(weight|bias)$/.exec(now) ?? [];
    return attention === undefined
      ? [renamed(weight, now)]
      : splitProjections(weight, attention, `_proj.${kind}`);
  };
}

/**
 * Matches the last layer of 2.x's encoder in transformers' names; it is not used, since 2.x takes the penultimate
 * hidden state.
 */
export const droppedLayer = /^text_model\.encoder\.layers\.23\./;

/** Splits the rows of a fused projection into q, k and v. */
export function splitProjections(weight: Weight, attention: string, ending: string): readonly Weight[] {
  const rows = (weight.shape[0] ?? 0) / 3;
  return ['q', 'k', 'v'].map((letter, third) =>
    renamed(rowsOf(weight, third * rows, (third + 1) * rows), attention + letter + ending),
  );
}

const layer: readonly Rule[] = [
  rule(/^ln_1\./, 'layer_norm1.'),
  rule(/^ln_2\./, 'layer_norm2.'),
  rule(/^mlp\.c_fc\./, 'mlp.fc1.'),
  rule(/^mlp\.c_proj\./, 'mlp.fc2.'),
  rule(/^attn\.out_proj\./, 'self_attn.out_proj.'),
  rule(/^attn\.(?=in_proj_)/, 'self_attn.'),
];

const rules: readonly Rule[] = [
  rule(/^positional_embedding$/, 'text_model.embeddings.position_embedding.weight'),
  rule(/^token_embedding\./, 'text_model.embeddings.token_embedding.'),
  {
    from: /^transformer\.resblocks\.(\d+)\./,
    to: (index) => `text_model.encoder.layers.${index}.`,
    rest: layer,
  },
  rule(/^ln_final\./, 'text_model.final_layer_norm.'),
  rule(/^text_projection\.weight$/, 'text_projection.weight'), // some tools have transposed it already
];
