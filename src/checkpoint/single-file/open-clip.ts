import { renamed, rowsOf, transposed } from '../../weights/derived-weight.ts';
import type { Weight } from '../../weights/weight.ts';
import { type Rule, renameBy, rule, type Translate } from './translate.ts';

/**
 * OpenCLIP's text encoder (Stable Diffusion 2.x, and SDXL's second) as transformers' CLIPTextModel: the projections of
 * queries, keys and values lie in one tensor, one below the other, and the last projection multiplies from the right.
 */
export function openClip(part: 'text_encoder' | 'text_encoder_2'): Translate {
  return (name, weight) => {
    // Stable Diffusion 2.x takes the text before the last layer; diffusers' folders have neither it nor the projection.
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

/** The last layer of Stable Diffusion 2.x's encoder, which takes the text before it, in transformers' names. */
export const droppedLayer = /^text_model\.encoder\.layers\.23\./;

/** Rows of queries, keys and values. */
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
  rule(/^text_projection\.weight$/, 'text_projection.weight'), // some tools have turned it already
];
