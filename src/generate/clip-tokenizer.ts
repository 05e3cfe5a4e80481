import { Tokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import {
  type ClipTokenizerFiles,
  isTokenId,
  type TokenizerParts,
  tokenizerParts,
} from '../checkpoint/tokenizer-parts.ts';
import { countWords, notesOnWords } from '../checkpoint/tokenizer-words.ts';
import { RequestError } from '../errors.ts';
import { checkArguments } from '../io/check-call.ts';

export type { ClipTokenizerFiles } from '../checkpoint/tokenizer-parts.ts';

/**
 * CLIP's tokenizer (Radford et al. 2021): lower-cased byte-level BPE, as in transformers' `CLIPTokenizerFast`.
 *
 * @example
 * const tokenizer = ClipTokenizer.fromFiles({ vocab, merges });
 * tokenizer.encode('a photo', { maxLength: 77 }); // [49406, 320, 1125, 49407, 49407, … 49407]
 */
export class ClipTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #parts: TokenizerParts;
  readonly #tokens: ReadonlyMap<number, string>;
  readonly #files: ClipTokenizerFiles;

  private constructor(
    tokenizer: Tokenizer,
    parts: TokenizerParts,
    tokens: ReadonlyMap<number, string>,
    files: ClipTokenizerFiles,
  ) {
    this.#tokenizer = tokenizer;
    this.#parts = parts;
    this.#tokens = tokens;
    this.#files = files;
  }

  /** Throws `FileFormatError` when a file is malformed, `ConfigError` when the vocabulary lacks a special token. */
  static fromFiles(files: ClipTokenizerFiles): ClipTokenizer {
    checkArguments('ClipTokenizer.fromFiles', { files: [files, filesSchema] });
    const parts = tokenizerParts(files);
    const { vocab } = parts;
    return new ClipTokenizer(
      new Tokenizer(tokenizerJson(parts, files.added ?? new Map()), {}),
      parts,
      new Map([...Object.entries(vocab), ...(files.added ?? [])].map(([token, id]) => [id, token])),
      files,
    );
  }

  /** What of it contradicts itself, a sentence each; `name` is that of its folder. */
  notes(name: string): string[] {
    return notesOnWords(name, countWords(this.#parts, this.#files.added));
  }

  /** Id of the next new token: one more than the largest. */
  get size(): number {
    return [...this.#tokens.keys()].reduce((most, id) => Math.max(most, id), -1) + 1;
  }

  /** A tokenizer with additional tokens, which get the next ids. Throws `RequestError` for a token that it has already. */
  withTokens(tokens: readonly string[]): ClipTokenizer {
    if (tokens.length === 0) return this;
    const known = new Set(this.#tokens.values());
    const first = this.size;
    for (const token of tokens) {
      if (known.has(token))
        throw new RequestError({
          problem: `${token} is already in the tokenizer's vocabulary, so it cannot be the token of a textual inversion.`,
          advice: `Pass another token after a colon: FILE:<${token}>.`,
        });
      known.add(token);
    }
    const added = new Map([
      ...(this.#files.added ?? []),
      ...tokens.map((token, i) => [token, first + i] as const),
    ]);
    return ClipTokenizer.fromFiles({ ...this.#files, added });
  }

  /**
   * Encodes a prompt as exactly `maxLength` token ids: begin token, prompt (truncated if too long), end token, padding.
   * Throws `RequestError` when `maxLength` leaves no room for the begin and end tokens.
   */
  encode(prompt: string, options: { readonly maxLength: number }): number[] {
    return this.frame(this.words(prompt), options);
  }

  /** Token ids of the whole prompt, without begin token, end token and padding. */
  words(prompt: string): number[] {
    return this.#tokenizer.encode(prompt, { add_special_tokens: false }).ids;
  }

  /** Adds begin token, end token and padding; truncates to `maxLength` and throws as `encode` does. */
  frame(words: readonly number[], { maxLength }: { readonly maxLength: number }): number[] {
    if (!Number.isInteger(maxLength) || maxLength < 2) {
      throw new RequestError({
        problem: `A prompt cannot be encoded in ${maxLength} tokens.`,
        details: {
          expected: 'a whole number of at least 2, for the begin and end tokens',
          found: String(maxLength),
        },
      });
    }
    const { begin, end, pad } = this.#parts.special;
    const kept = words.slice(0, maxLength - 2);
    return [begin.id, ...kept, end.id, ...Array<number>(maxLength - 2 - kept.length).fill(pad.id)];
  }

  /** Decodes token ids, to report which text was truncated: a space follows each word, unknown ids are skipped. */
  textOf(ids: readonly number[]): string {
    const written = ids.map((id) => this.#tokens.get(id) ?? '').join('');
    const bytes = [...written.replaceAll('</w>', ' ')].map((character) => byteOf.get(character) ?? 0x20);
    return new TextDecoder().decode(Uint8Array.from(bytes)).trim();
  }
}

/** Of callers without a type checker, and of a page's files. */
const filesSchema = z.looseObject({
  vocab: z.string(),
  merges: z.string(),
  config: z.looseObject({}).optional(),
  specialTokensMap: z.looseObject({}).optional(),
  added: z.map(z.string(), z.custom(isTokenId, 'expected the number of a token')).optional(),
});

/** Byte of each character in the vocabulary (GPT-2's byte-level BPE): printable bytes are themselves, others U+0100 and up. */
const byteOf: ReadonlyMap<string, number> = (() => {
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const printable = bytes.filter((byte) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad));
  const others = bytes.filter((byte) => !printable.includes(byte));
  return new Map([
    ...printable.map((byte) => [String.fromCodePoint(byte), byte] as const),
    ...others.map((byte, i) => [String.fromCodePoint(0x100 + i), byte] as const),
  ]);
})();

/** Builds the `tokenizer.json` of CLIP, because Stable Diffusion checkpoints come without that file. */
function tokenizerJson(
  { vocab, merges, special }: TokenizerParts,
  added: ReadonlyMap<string, number>,
): object {
  const fixed = new Set(Object.values(special).map(({ content }) => content));
  return {
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: WORDS }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: null,
    added_tokens: [
      ...Object.values(special).map(({ id, content, normalized }) => ({
        id,
        content,
        normalized,
        special: true,
      })),
      ...[...added]
        .filter(([content]) => !fixed.has(content))
        .map(([content, id]) => ({ id, content, normalized: true, special: false })),
    ],
    model: {
      type: 'BPE',
      unk_token: special.unknown.content,
      continuing_subword_prefix: '',
      end_of_word_suffix: '</w>',
      vocab,
      merges,
    },
  };
}

/** Pre-tokenization of CLIP: English contractions, runs of letters, single digits, and runs of anything else but space. */
const WORDS = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
