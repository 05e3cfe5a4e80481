import { renamed, transposed } from '../../weights/derived-weight.ts';
import { droppedLayer, splitProjections } from './open-clip.ts';
import { renaming, rule, type Translate } from './translate.ts';

/** Names of OpenAI's CLIP text encoder: transformers' own, in old files without `text_model.`. */
const transformers = renaming([
  rule(/^text_model\./, 'text_model.'),
  rule(/^(?=(embeddings|encoder|final_layer_norm)\.)/, 'text_model.'),
  rule(/^text_projection\./, 'text_projection.'),
]);

const fused = /^(text_model\.encoder\.layers\.\d+\.self_attn\.)in_proj\.(weight|bias)$/;

/**
 * Translates a text encoder in transformers' names. stable-diffusion.cpp's names for OpenCLIP's encoder are accepted,
 * too: there q, k and v projections are still one tensor, and the text projection is transposed.
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
