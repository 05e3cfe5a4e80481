import { renaming, rule, type Translate } from './translate.ts';

/** OpenAI's CLIP text encoder: the names are transformers' own, but for old files that leave out the first part of them. */
export function clip(): Translate {
  return renaming([
    rule(/^text_model\./, 'text_model.'),
    rule(/^(?=(embeddings|encoder|final_layer_norm)\.)/, 'text_model.'),
    rule(/^text_projection\./, 'text_projection.'),
  ]);
}
