import { z } from 'zod';
import { ConfigError, FileFormatError } from '../errors.ts';
import { quote, shown } from '../io/error-text.ts';

/** Larger than any vocabulary, and still an index of a tensor. */
export const LARGEST_TOKEN_ID = 2 ** 24;

/** Whether a value is the number of a token: a row of the text encoder's embeddings. */
export function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LARGEST_TOKEN_ID;
}

/** Contents of a checkpoint's `tokenizer` folder. */
export interface ClipTokenizerFiles {
  /** Text of `vocab.json`. */
  readonly vocab: string;
  /** Text of `merges.txt`. */
  readonly merges: string;
  /** Parsed `tokenizer_config.json`. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  /** Parsed `special_tokens_map.json`; takes precedence over `config`, as in transformers. */
  readonly specialTokensMap?: Readonly<Record<string, unknown>> | undefined;
  /** Ids of tokens added to the vocabulary (by a textual inversion), by the token's text. */
  readonly added?: ReadonlyMap<string, number>;
}

/** What the files of a tokenizer hold. */
export interface TokenizerParts {
  readonly vocab: Vocab;
  readonly merges: string[][];
  readonly special: SpecialTokens;
}

/**
 * Reads the files; `vocab` is what `readVocab` gave for theirs. Throws `FileFormatError` when one is malformed, `ConfigError` when the
 * vocabulary lacks a special token.
 */
export function tokenizerParts(files: ClipTokenizerFiles, vocab = readVocab(files.vocab)): TokenizerParts {
  checkSides(files.config);
  checkNumbers(vocab, files.added);
  return { vocab, merges: mergesOf(files.merges, vocab), special: specialTokens(files, vocab) };
}

/** Prompts are cut and filled up at their ends, unless a config says otherwise. */
function checkSides(config: ClipTokenizerFiles['config'] = {}): void {
  for (const key of ['padding_side', 'truncation_side']) {
    const side = Object.hasOwn(config, key) ? config[key] : RIGHT;
    if (side === RIGHT) continue;
    throw new ConfigError({
      problem: `The tokenizer's ${key} is not supported.`,
      details: { expected: quote(RIGHT), found: shown(side) },
      advice: `Remove ${key} from its tokenizer_config.json, or use another checkpoint.`,
    });
  }
}

const RIGHT = 'right';

/** Throws `ConfigError` for an added token that the vocabulary has with another number: which of them is meant, nobody knows. */
function checkNumbers(vocab: Vocab, added: ClipTokenizerFiles['added'] = new Map()): void {
  for (const [token, id] of added) {
    const known = Object.hasOwn(vocab, token) ? vocab[token] : id;
    if (known !== id) throw twoNumbers(token, known, id);
  }
}

/** Two files of a tokenizer, or two places of one, contradict each other. */
export function twoNumbers(token: string, one: unknown, other: unknown): ConfigError {
  return new ConfigError({
    problem: `The tokenizer's files give the token ${quote(token)} two numbers.`,
    details: { expected: 'one of its own', found: `${shown(one)} and ${shown(other)}` },
    advice: 'Download the checkpoint again.',
  });
}

/** A token with a meaning of its own. */
interface SpecialToken {
  readonly id: number;
  readonly content: string;
  /** Whether it is matched in the normalized (lower-cased) prompt instead of the prompt as written. */
  readonly normalized: boolean;
}

/** The tokens that frame prompts, and stand for what is not known. */
export type SpecialTokens = Readonly<Record<'begin' | 'end' | 'pad' | 'unknown', SpecialToken>>;

/** The numbers of tokens, by their text. */
export type Vocab = Readonly<Record<string, number>>;

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
    const given = specialTokensMap[key] ?? config[key] ?? fallback;
    const { data: token } = tokenSchema.safeParse(given);
    const id = token && Object.hasOwn(vocab, token.content) ? vocab[token.content] : undefined;
    if (token && id !== undefined) return { ...token, id };
    throw new ConfigError({
      problem: `The tokenizer's ${key} is not in its vocabulary.`,
      details: { expected: 'a token of vocab.json', found: shown(token?.content ?? given) },
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

/** Reads the text of a `vocab.json`. Throws `FileFormatError` for anything but a table of token ids. */
export function readVocab(text: string): Vocab {
  const vocab = parsedOrNothing(text);
  if (isVocab(vocab)) return vocab;
  throw new FileFormatError({
    problem: "The tokenizer's vocab.json is not a table of token ids.",
    details: { expected: 'a JSON object that maps each token to its id', found: quote(text) },
    advice: 'Download the checkpoint again.',
  });
}

/** Whether a value is a table of token ids. By hand: a schema would make a copy of the 50,000 words. */
export function isVocab(value: unknown): value is Vocab {
  const isTable = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isTable && Object.values(value).every(isTokenId);
}

function parsedOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The pairs of merges.txt, of which some at least must make words of the vocabulary: lines of two words are in many a text. */
function mergesOf(text: string, vocab: Vocab): string[][] {
  const pairs = readMerges(text);
  if (pairs.length === 0 || pairs.some((pair) => Object.hasOwn(vocab, pair.join('')))) return pairs;
  throw new FileFormatError({
    problem: "The tokenizer's merges.txt makes none of the words in its vocab.json.",
    details: { found: quote(text) },
    advice: 'Download the checkpoint again.',
  });
}

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
