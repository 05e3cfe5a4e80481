import { Tokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { ConfigError, FileFormatError, RequestError } from '../errors.ts';
import { checkArguments } from '../io/check-call.ts';
import { quote } from '../io/error-text.ts';

/** Contents of a checkpoint's `tokenizer` folder. */
export interface ClipTokenizerFiles {
  /** Text of `vocab.json`. */
  readonly vocab: string;
  /** Text of `merges.txt`. */
  readonly merges: string;
  /** Parsed `tokenizer_config.json`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Parsed `special_tokens_map.json`; takes precedence over `config`, as in transformers. */
  readonly specialTokensMap?: Readonly<Record<string, unknown>>;
  /** Ids of tokens added to the vocabulary (by a textual inversion), by the token's text. */
  readonly added?: ReadonlyMap<string, number>;
}

/**
 * CLIP's tokenizer (Radford et al. 2021): lower-cased byte-level BPE, as in transformers' `CLIPTokenizerFast`.
 *
 * @example
 * const tokenizer = ClipTokenizer.fromFiles({ vocab, merges });
 * tokenizer.encode('a photo', { maxLength: 77 }); // [49406, 320, 1125, 49407, 49407, … 49407]
 */
export class ClipTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #special: SpecialTokens;
  readonly #tokens: ReadonlyMap<number, string>;
  readonly #files: ClipTokenizerFiles;

  private constructor(
    tokenizer: Tokenizer,
    special: SpecialTokens,
    tokens: ReadonlyMap<number, string>,
    files: ClipTokenizerFiles,
  ) {
    this.#tokenizer = tokenizer;
    this.#special = special;
    this.#tokens = tokens;
    this.#files = files;
  }

  /** Throws `FileFormatError` when a file is malformed, `ConfigError` when the vocabulary lacks a special token. */
  static fromFiles(files: ClipTokenizerFiles): ClipTokenizer {
    const texts = z.looseObject({ vocab: z.string(), merges: z.string() });
    checkArguments('ClipTokenizer.fromFiles', { files: [files, texts] });
    const vocab = readVocab(files.vocab);
    const special = specialTokens(files, vocab);
    return new ClipTokenizer(
      new Tokenizer(tokenizerJson(vocab, readMerges(files.merges), special, files.added ?? new Map()), {}),
      special,
      new Map([...Object.entries(vocab), ...(files.added ?? [])].map(([token, id]) => [id, token])),
      files,
    );
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
    const { begin, end, pad } = this.#special;
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

interface SpecialToken {
  readonly id: number;
  readonly content: string;
  /** Whether it is matched in the normalized (lower-cased) prompt instead of the prompt as written. */
  readonly normalized: boolean;
}

type SpecialTokens = Readonly<Record<'begin' | 'end' | 'pad' | 'unknown', SpecialToken>>;

type Vocab = Readonly<Record<string, number>>;

/** A special token is a string, or an object that also says how it is matched in prompts. */
const tokenSchema = z.union([
  z.string().transform((content) => ({ content, normalized: false })),
  z.object({ content: z.string(), normalized: z.boolean().default(true) }),
]);

function specialTokens(
  { config = {}, specialTokensMap = {} }: ClipTokenizerFiles,
  vocab: Vocab,
): SpecialTokens {
  const find = (key: string, fallback: string): SpecialToken => {
    const { data: token } = tokenSchema.safeParse(specialTokensMap[key] ?? config[key] ?? fallback);
    const id = token && vocab[token.content];
    if (token && id !== undefined) return { ...token, id };
    throw new ConfigError({
      problem: `The tokenizer's ${key} is not in its vocabulary.`,
      details: {
        expected: 'a token of vocab.json',
        found: token?.content ?? 'something that is not a token',
      },
      advice: 'vocab.json and special_tokens_map.json must come from the same checkpoint.',
    });
  };
  return {
    begin: find('bos_token', '<|startoftext|>'),
    end: find('eos_token', '<|endoftext|>'),
    pad: find('pad_token', '<|endoftext|>'),
    unknown: find('unk_token', '<|endoftext|>'),
  };
}

function readVocab(text: string): Vocab {
  const { data: vocab } = jsonText.pipe(z.record(z.string(), z.int())).safeParse(text);
  if (vocab) return vocab;
  throw new FileFormatError({
    problem: "The tokenizer's vocab.json is not a table of token ids.",
    details: { expected: 'a JSON object that maps each token to its id', found: quote(text) },
    advice: 'Download the checkpoint again.',
  });
}

const jsonText = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue('not JSON');
    return z.NEVER;
  }
});

/** Parses the pairs of merges.txt. Only its first line is a comment: further down, `#` is a token like any other. */
function readMerges(text: string): string[][] {
  const lines = text.trimEnd().split('\n');
  const pairs = (lines[0]?.startsWith('#version') ? lines.slice(1) : lines).map((line) =>
    line.trimEnd().split(' '),
  );
  const odd = pairs.findIndex((pair) => pair.length !== 2);
  if (odd < 0) return pairs;
  throw new FileFormatError({
    problem: "The tokenizer's merges.txt is not a list of pairs.",
    details: {
      line: String(odd + 1 + lines.length - pairs.length),
      expected: 'two tokens',
      found: quote(lines.at(odd - pairs.length) ?? ''),
    },
    advice: 'Download the checkpoint again.',
  });
}

/** Builds the `tokenizer.json` of CLIP, because Stable Diffusion checkpoints come without that file. */
function tokenizerJson(
  vocab: Vocab,
  merges: string[][],
  special: SpecialTokens,
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
