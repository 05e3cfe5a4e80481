/**
 * A textual inversion (Gal et al. 2022): a word that stands for what was learnt from some pictures, as one or more rows
 * of a text encoder's token embeddings. These rows belong below the table of the converted encoder, in the order of
 * `tokenNames`, and the names among the tokenizer's added tokens.
 */
export interface TextualInversion {
  /** The word that stands for it in prompts. */
  readonly token: string;
  /** Its rows, by text encoder: of SDXL's two, or of the only one. */
  readonly embeddings: Readonly<Partial<Record<TextEncoderName, Embedding>>>;
}

/** The text encoders that may have learnt it. */
export type TextEncoderName = 'text_encoder' | 'text_encoder_2';

/** Rows of a token table, float32, one after the other. */
export interface Embedding {
  readonly rows: number;
  readonly width: number;
  readonly data: Float32Array;
}

/** The tokens that an inversion adds, one a row, as diffusers names them: `cat`, `cat_1`, `cat_2` … */
export function tokenNames({ token, embeddings }: TextualInversion): string[] {
  const rows = Math.max(0, ...Object.values(embeddings).map((embedding) => embedding.rows));
  return Array.from({ length: rows }, (_, i) => (i === 0 ? token : `${token}_${i}`));
}

/** A prompt with every row's token in the place of each inversion's word, the longest words first. */
export function expandInversions(prompt: string, inversions: readonly TextualInversion[]): string {
  const names = new Map(inversions.map((inversion) => [inversion.token, tokenNames(inversion).join(' ')]));
  const words = [...names.keys()].sort((a, b) => b.length - a.length).map(escaped);
  if (words.length === 0) return prompt;
  return prompt.replace(new RegExp(words.join('|'), 'g'), (word) => names.get(word) ?? word);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
