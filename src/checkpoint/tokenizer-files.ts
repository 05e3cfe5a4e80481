import { basename } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { excerpt, quote, shown } from '../io/error-text.ts';
import { isJsonObject, type JsonObject, readJsonObject } from '../io/json/python-json.ts';
import { readSideJson, type SideFile } from './side-file.ts';
import { isTokenId, LARGEST_TOKEN_ID, twoNumbers, type Vocab } from './tokenizer-parts.ts';

/**
 * A CLIP tokenizer is stored as `vocab.json` and `merges.txt`, or since transformers 5 as `tokenizer.json` alone.
 * Apple's package, optimum's ONNX pipelines and our own tokenizer read the first form, so it is generated where it is
 * missing.
 */

/**
 * Adds `vocab.json` and `merges.txt` to a tokenizer's files if they are missing. Throws `FileFormatError` for a
 * `tokenizer.json` that is not JSON.
 */
export async function completeTokenizer(files: readonly string[]): Promise<readonly SideFile[]> {
  const find = (name: string) => files.find((file) => basename(file) === name);
  const whole = find('tokenizer.json');
  if (whole === undefined || (find('vocab.json') && find('merges.txt'))) return files;
  const { data } = tokenizerSchema.safeParse(await readJsonObject(whole, TOKENIZER_LIMITS));
  if (!data) return files; // another kind of tokenizer: the code that needs the files reports them as missing
  const { model, added_tokens } = data;
  const lines = model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
  const made = [
    { name: 'vocab.json', text: `${JSON.stringify(model.vocab)}\n` },
    { name: 'merges.txt', text: `${['#version: 0.2', ...lines].join('\n')}\n` },
  ];
  const own = Object.fromEntries(
    added_tokens
      .filter(({ content }) => !Object.hasOwn(model.vocab, content))
      .map(({ id, content }) => [content, id]),
  );
  if (Object.keys(own).length > 0 && !find('added_tokens.json'))
    made.push({ name: 'added_tokens.json', text: `${JSON.stringify(own, null, 2)}\n` });
  return [...files, ...made.filter(({ name }) => !find(name))];
}

/** Of a `tokenizer.json`: CLIP's has 2 MB and 50,000 keys, those of large vocabularies 20 MB. */
const TOKENIZER_LIMITS = { bytes: 32 << 20, keys: 1_000_000 };

/** By hand, as the next ones: a schema takes several times as long, and makes an error of each of 100,000 that are none. */
function isMerges(list: unknown): boolean {
  const isText = (each: unknown) => typeof each === 'string';
  return (
    Array.isArray(list) &&
    list.every((each) => isText(each) || (Array.isArray(each) && each.length === 2 && each.every(isText)))
  );
}

function isNumbered(table: unknown): boolean {
  return isJsonObject(table) && Object.values(table).every(Number.isSafeInteger);
}

function isAdded(list: unknown): boolean {
  return (
    Array.isArray(list) &&
    list.every(
      (each) => isJsonObject(each) && Number.isSafeInteger(each.id) && typeof each.content === 'string',
    )
  );
}

const tokenizerSchema = z.object({
  model: z.object({
    type: z.literal('BPE').default('BPE'),
    vocab: z.custom<Vocab>(isNumbered),
    merges: z.custom<readonly (string | readonly [string, string])[]>(isMerges),
  }),
  added_tokens: z.custom<readonly { readonly id: number; readonly content: string }[]>(isAdded).default([]),
});

/**
 * Ids of the tokens that were added to a vocabulary (by textual inversions, say), by their text. Throws `FileFormatError` for files
 * that hold no JSON object, and as `tokensIn` does.
 */
export async function addedTokens(files: readonly SideFile[]): Promise<ReadonlyMap<string, number>> {
  const list = await readSideJson(files, LIST);
  return tokensIn(list, await readSideJson(files, CONFIG));
}

/**
 * Ids of the tokens in an `added_tokens.json`, and in a `tokenizer_config.json`, which lists them by id. Throws `ConfigError` for
 * what is no token, numbers that none can have, two for one token, and more tokens than anybody adds.
 */
export function tokensIn(list: JsonObject = {}, config: JsonObject = {}): ReadonlyMap<string, number> {
  const tokens = new Map<string, number>();
  for (const [token, id] of [
    ...numbered(tokensByNumber(config.added_tokens_decoder ?? {}), CONFIG),
    ...numbered(entriesOf(list, LIST), LIST),
  ]) {
    const known = tokens.get(token) ?? id;
    if (known !== id) throw twoNumbers(token, known, id);
    if (token !== '') tokens.set(token, id); // one without letters is in no prompt: transformers leaves it out, too
  }
  checkWords([...tokens.keys()]);
  return tokens;
}

const CONFIG = 'tokenizer_config.json';
const LIST = 'added_tokens.json';

/** The texts and numbers of a table of tokens by their numbers. By hand: a schema would make an error of each that is none. */
function tokensByNumber(decoder: unknown): [string, unknown][] {
  if (!isJsonObject(decoder)) throw noToken('added_tokens_decoder', 'keys and values', decoder);
  return entriesOf(decoder, CONFIG).map(([id, token]) => {
    const place = `added_tokens_decoder.${id}`;
    if (!isJsonObject(token)) throw noToken(place, 'keys and values', token);
    if (typeof token.content !== 'string') throw noToken(`${place}.content`, 'a text', token.content);
    return [token.content, /^\d+$/.test(id) ? Number(id) : id];
  });
}

function noToken(place: string, expected: string, value: unknown): ConfigError {
  return new ConfigError({
    problem: `The tokenizer's ${CONFIG} lists an added token that is none.`,
    details: {
      [excerpt(place)]: `expected ${expected}${value === undefined ? '' : `, found ${shown(value)}`}`,
    },
    advice: 'Download the checkpoint again.',
  });
}

/** More tokens than were ever added to a tokenizer: each goes into the vocabulary, and is looked for in each prompt. */
const MOST_TOKENS = 5_000;

/** Counted before they are looked at. */
function entriesOf(tokens: JsonObject, file: string): [string, unknown][] {
  const entries = Object.entries(tokens);
  if (entries.length <= MOST_TOKENS) return entries;
  throw new ConfigError({
    problem: `The tokenizer's ${file} lists more added tokens than any tokenizer has.`,
    details: {
      expected: `at most ${MOST_TOKENS.toLocaleString('en')}`,
      found: entries.length.toLocaleString('en'),
    },
    advice: 'Download the checkpoint again.',
  });
}

function numbered(tokens: readonly (readonly [string, unknown])[], file: string): [string, number][] {
  return tokens.map(([token, id]) => {
    if (isTokenId(id)) return [token, id];
    throw new ConfigError({
      problem: `The tokenizer's ${file} gives the token ${quote(token)} a number that none can have.`,
      details: { expected: `a whole number from 0 to ${LARGEST_TOKEN_ID}`, found: shown(id) },
      advice: 'Download the checkpoint again.',
    });
  });
}

/** Longer words, and more of them, than a tokenizer was ever taught: each takes time that grows with its square. */
const LONGEST_TOKEN = 128;
const MOST_LETTERS = 100_000;

/** Throws `ConfigError` for added tokens that nobody added. */
function checkWords(tokens: readonly string[]): void {
  const letters = tokens.reduce((sum, { length }) => sum + length, 0);
  const long = tokens.find(({ length }) => length > LONGEST_TOKEN);
  if (long === undefined && letters <= MOST_LETTERS) return;
  throw new ConfigError({
    problem: 'The tokenizer has added tokens that cannot be words of prompts.',
    details: {
      expected: `up to ${LONGEST_TOKEN} letters each, ${MOST_LETTERS.toLocaleString('en')} in all`,
      found: long === undefined ? letters.toLocaleString('en') : quote(long),
    },
    advice: 'Check its added_tokens.json, or download the checkpoint again.',
  });
}
