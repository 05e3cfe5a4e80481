import { z } from 'zod';
import { checkArguments } from '../../io/check-call.ts';
import { inversion as inversionSchema } from '../call-schemas.ts';
/**
 * A textual inversion (Gal et al. 2022): a new token for a concept learnt from a few pictures, stored as one or more rows
 * of a text encoder's token embeddings. To use it, append the rows to the embedding table of the converted encoder in the
 * order of `tokenNames`, and add these names to the tokenizer's added tokens.
 */
export interface TextualInversion {
  /** Token that stands for it in prompts. */
  readonly token: string;
  /** Its rows for each text encoder: both of SDXL's, or the only one. */
  readonly embeddings: Readonly<Partial<Record<TextEncoderName, Embedding>>>;
}

/** Text encoders that a textual inversion may extend. */
export type TextEncoderName = 'text_encoder' | 'text_encoder_2';

/** Rows of a token embedding table: float32 [rows,width]. */
export interface Embedding {
  readonly rows: number;
  readonly width: number;
  readonly data: Float32Array;
}

/** Names of the tokens that an inversion adds, one per row, as diffusers names them: `cat`, `cat_1`, `cat_2` … */
export function tokenNames(inversion: TextualInversion): string[] {
  checkArguments('tokenNames', { inversion: [inversion, inversionSchema] });
  const { token, embeddings } = inversion;
  const rows = Math.max(0, ...Object.values(embeddings).map((embedding) => embedding.rows));
  return Array.from({ length: rows }, (_, i) => (i === 0 ? token : `${token}_${i}`));
}

/**
 * Replaces each inversion's token in a prompt with the tokens of all its rows; the longest tokens are matched first, and as in
 * the tokenizer case does not matter.
 */
export function expandInversions(prompt: string, inversions: readonly TextualInversion[]): string {
  checkArguments('expandInversions', {
    prompt: [prompt, z.string()],
    inversions: [inversions, z.array(inversionSchema)],
  });
  const names = new Map(
    inversions.map((inversion) => [inversion.token.toLowerCase(), tokenNames(inversion).join(' ')]),
  );
  const words = [...names.keys()].sort((a, b) => b.length - a.length).map(escaped);
  if (words.length === 0) return prompt;
  return prompt.replace(new RegExp(words.join('|'), 'gi'), (word) => names.get(word.toLowerCase()) ?? word);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
