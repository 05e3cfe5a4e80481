import { basename, extname } from 'node:path';
import { z } from 'zod';
import { FileFormatError, RequestError, UnsupportedModelError } from '../../errors.ts';
import { checkArguments } from '../../io/check-call.ts';
import { shellWord } from '../../io/shell-word.ts';
import { readTensor } from '../../weights/tensor-data.ts';
import type { Weight } from '../../weights/weight.ts';
import { openWeightFile } from '../../weights/weight-file.ts';
import type { Embedding, TextEncoderName, TextualInversion } from './textual-inversion.ts';

/** A textual inversion's file, and the token that stands for it in prompts. */
export interface TextualInversionChoice {
  readonly file: string;
  /** The token named in the file, or else the file's name, when left out. */
  readonly token?: string | undefined;
}

/** Parses `FILE[:TOKEN]`. A colon separates only after a file extension, as paths may contain colons. Throws `RequestError`. */
export function parseTextualInversion(text: string): TextualInversionChoice {
  checkArguments('parseTextualInversion', { text: [text, z.string()] });
  const [, file, token] = /^(.*\.(?:safetensors|pt|bin|pth|ckpt)):(.*)$/is.exec(text) ?? [];
  if (file === undefined && text !== '') return { file: text };
  if (file && token && !/\s/.test(token)) return { file, token };
  throw new RequestError({
    problem: '--textual-inversion needs a file, and optionally a token without spaces after a colon.',
    details: { expected: 'FILE or FILE:TOKEN', found: text === '' ? 'nothing' : JSON.stringify(text) },
  });
}

/** Largest embedding that is accepted: as many rows as a prompt has room for, and a generous number of channels. */
const MAX_ROWS = 75;
const MAX_WIDTH = 4096;

/** Tensor names of known formats and their text encoders; in any other file, the name of the only tensor is the token. */
const known: Readonly<Record<string, TextEncoderName>> = {
  'string_to_param.*': 'text_encoder', // AUTOMATIC1111's .pt
  emb_params: 'text_encoder', // the same as safetensors
  clip_l: 'text_encoder', // SDXL
  clip_g: 'text_encoder_2',
};

/**
 * Reads a textual inversion: AUTOMATIC1111's `.pt` and `.safetensors` (also of SDXL, with `clip_l` and `clip_g`) and
 * diffusers' `.bin` and `.safetensors`, where the tensor's name is the token. For the others it is the file's name.
 * Throws what `openWeightFile` throws, and `UnsupportedModelError` for a file that is not a textual inversion.
 */
export async function readTextualInversion(choice: TextualInversionChoice): Promise<TextualInversion> {
  checkArguments('readTextualInversion', { choice: [choice, z.looseObject({ file: z.string() })] });
  const { file, token } = choice;
  const opened = await openWeightFile(file);
  try {
    const named = [...opened.weights].filter(([name]) => Object.hasOwn(known, name));
    const [only, ...more] = named.length > 0 ? [] : opened.weights;
    if (named.length === 0 && (!only || more.length > 0)) throw noInversion(file, [...opened.weights.keys()]);
    const embeddings: Partial<Record<TextEncoderName, Embedding>> = {};
    for (const [name, weight] of only ? [only] : named)
      embeddings[known[name] ?? 'text_encoder'] = await embeddingOf(weight, file);
    const name = token ?? only?.[0] ?? basename(file, extname(file));
    if (name.trim() === '' || name.length > LONGEST_TOKEN) throw nameless(file);
    return { token: name, embeddings: sameRows(embeddings, file) };
  } finally {
    await opened.close();
  }
}

/** Reads several textual inversions. Throws what `readTextualInversion` throws, and `RequestError` if two have the same token. */
export async function readTextualInversions(
  choices: readonly TextualInversionChoice[],
): Promise<TextualInversion[]> {
  const inversions = await Promise.all(choices.map(readTextualInversion));
  const tokens = inversions.map(({ token }) => token);
  const twice = tokens.find((token, i) => tokens.indexOf(token) !== i);
  if (twice === undefined) return inversions;
  throw new RequestError({
    problem: `two textual inversions are called ${twice}.`,
    advice: 'Pass another token for one of them after a colon: FILE:TOKEN.',
  });
}

async function embeddingOf(weight: Weight, file: string): Promise<Embedding> {
  const [width = 0, rows = 1, ...rest] = weight.shape.toReversed();
  if (rest.length > 0 || rows < 1 || rows > MAX_ROWS || width < 1 || width > MAX_WIDTH)
    throw new UnsupportedModelError({
      problem: `${file} is not a textual inversion: its tensor has the wrong shape.`,
      details: { expected: `up to ${MAX_ROWS} rows of up to ${MAX_WIDTH}`, found: weight.shape.join(' × ') },
    });
  const { data } = await readTensor(weight, 'f32');
  if (data.every(Number.isFinite)) return { rows, width, data };
  throw new FileFormatError({
    problem: `${file} is damaged: it contains NaN or infinite values.`,
    advice: 'Download it again.',
  });
}

function sameRows(
  embeddings: Partial<Record<TextEncoderName, Embedding>>,
  file: string,
): Partial<Record<TextEncoderName, Embedding>> {
  const counts = Object.values(embeddings).map(({ rows }) => rows);
  if (new Set(counts).size === 1) return embeddings;
  throw new FileFormatError({
    problem: `${file} has different numbers of rows for the two text encoders.`,
    details: { expected: `${counts[0]} rows`, found: `${counts[1]} rows` },
  });
}

/** Longer than any name of a file. */
const LONGEST_TOKEN = 500;

function nameless(file: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} has no token that could be a word of a prompt: it is empty, or has more than ${LONGEST_TOKEN} letters.`,
    advice: `Name one after a colon: --textual-inversion ${shellWord(`${file}:TOKEN`)}`,
  });
}

function noInversion(file: string, names: readonly string[]): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${file} is not a textual inversion.`,
    details: {
      expected: `one tensor, or some of ${Object.keys(known).join(', ')}`,
      found: names.length > 4 ? `${names.length} tensors` : names.map((name) => name.slice(0, 60)).join(', '),
    },
    advice: 'Name the file of an embedding. A LoRA is merged when converting, with --lora.',
  });
}
