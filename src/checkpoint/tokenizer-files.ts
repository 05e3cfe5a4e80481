import { basename } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { quote, shown } from '../io/error-text.ts';
import { type JsonObject, readJsonObject } from '../io/json/python-json.ts';
import { whatIsWrong } from '../io/wanted.ts';
import { readSideJson, type SideFile } from './side-file.ts';
import { isTokenId, LARGEST_TOKEN_ID } from './tokenizer-parts.ts';

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

/** By hand, as the next one: a schema would make an error of each of 100,000 that are none. */
function isMerges(list: unknown): boolean {
  const isText = (each: unknown) => typeof each === 'string';
  return (
    Array.isArray(list) &&
    list.every((each) => isText(each) || (Array.isArray(each) && each.length === 2 && each.every(isText)))
  );
}

const addedToken = z.object({ id: z.int(), content: z.string() });

function isAdded(list: unknown): boolean {
  return Array.isArray(list) && list.every((each) => addedToken.safeParse(each).success);
}

const tokenizerSchema = z.object({
  model: z.object({
    type: z.literal('BPE').default('BPE'),
    vocab: z.record(z.string(), z.int()),
    merges: z.custom<readonly (string | readonly [string, string])[]>(isMerges),
  }),
  added_tokens: z.custom<readonly { readonly id: number; readonly content: string }[]>(isAdded).default([]),
});

/**
 * Ids of the tokens that were added to a vocabulary (by textual inversions, say), by their text. Throws `FileFormatError` for files
 * that hold no JSON object, and as `tokensIn` does.
 */
export async function addedTokens(files: readonly SideFile[]): Promise<ReadonlyMap<string, number>> {
  const list = await readSideJson(files, 'added_tokens.json');
  return tokensIn(list, await readSideJson(files, 'tokenizer_config.json'));
}

const decoderSchema = z.object({
  added_tokens_decoder: z.record(z.string(), z.object({ content: z.string() })).nullish(),
});

/**
 * Ids of the tokens in an `added_tokens.json`, and in a `tokenizer_config.json`, which lists them by id. Throws `ConfigError` for
 * what is no token, and numbers that none can have.
 */
export function tokensIn(list: JsonObject = {}, config: JsonObject = {}): ReadonlyMap<string, number> {
  const { data, error } = decoderSchema.safeParse(config, { reportInput: true });
  if (!data)
    throw new ConfigError({
      problem: "The tokenizer's tokenizer_config.json lists an added token that is none.",
      details: whatIsWrong(error),
      advice: 'Download the checkpoint again.',
    });
  const byNumber = Object.entries(data.added_tokens_decoder ?? {}).map(
    ([id, { content }]) => [content, Number(id)] as const,
  );
  return new Map([
    ...numbered(byNumber, 'tokenizer_config.json'),
    ...numbered(Object.entries(list), 'added_tokens.json'),
  ]);
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
