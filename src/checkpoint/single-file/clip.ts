import { renamed, transposed } from '../../weights/derived-weight.ts';
import { droppedLayer, splitProjections } from './open-clip.ts';
import { renaming, rule, type Translate } from './translate.ts';

/** OpenAI's CLIP text encoder: the names are transformers' own, but for old files that leave out the first part of them. */
const transformers = renaming([
  rule(/^text_model\./, 'text_model.'),
  rule(/^(?=(embeddings|encoder|final_layer_norm)\.)/, 'text_model.'),
  rule(/^text_projection\./, 'text_projection.'),
]);

const fused = /^(text_model\.encoder\.layers\.\d+\.self_attn\.)in_proj\.(weight|bias)$/;

/**
 * A text encoder under transformers' names. Those that stable-diffusion.cpp gives to OpenCLIP's are read as well: there
 * the projections of queries, keys and values still lie in one tensor, and the last one multiplies from the right.
 */
export function clip(part: 'text_encoder' | 'text_encoder_2', names: readonly string[]): Translate {
  if (!names.some((name) => fused.test(name))) return transformers;
  return (name, weight) => {
    const isProjection = name === 'text_model.text_projection';
    if (part === 'text_encoder' && (isProjection || droppedLayer.test(name))) return [];
    if (isProjection) return [renamed(transposed(weight), 'text_projection.weight')];
    const [, attention, kind] = fused.exec(name) ?? [];
    return attention === undefined
      ? transformers(name, weight)
      : splitProjections(weight, attention, `_proj.${kind}`);
  };
}
