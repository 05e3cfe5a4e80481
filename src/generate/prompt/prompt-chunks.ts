import { z } from 'zod';
import { checkArguments, list, number } from '../../io/check-call.ts';
import { promptOptions, tokenizer as tokenizerSchema } from '../call-schemas.ts';
import type { ClipTokenizer } from '../clip-tokenizer.ts';
import { type PromptSection, readPromptWeights } from './prompt-weights.ts';

/**
 * A tokenized prompt. By default, as in diffusers, it is one row of 77 tokens: what does not fit is truncated, and
 * brackets are plain text. With `long`, a long prompt becomes several rows, each with begin and end tokens; they are
 * encoded separately and joined to 154, 231 … tokens, which needs networks with a free number of tokens.
 *
 * @example
 * const prompts = sameLength(tokenizer, [negative, positive].map((text) => encodePrompt(tokenizer, text, options)), 77);
 * const hidden = await encodePrompts(textEncoder, prompts.flatMap(({ chunks }) => chunks.map(({ ids }) => ids)));
 * // then joinChunks for each prompt's rows of `hidden`
 */
export interface EncodedPrompt {
  /** At least one. */
  readonly chunks: readonly PromptChunk[];
  /** Text that was truncated; empty if everything fits. */
  readonly cut: string;
}

/** One row for the text encoder. */
export interface PromptChunk {
  /** `maxLength` token ids: begin token, prompt, end token, padding. */
  readonly ids: readonly number[];
  /** Weight of each token; 1 is neutral. */
  readonly weights: readonly number[];
}

/** How to read a prompt. */
export interface PromptOptions {
  /** Tokens in a row, including begin and end: 77 for CLIP. */
  readonly maxLength: number;
  /** Whether a prompt that does not fit in one row continues in more rows. */
  readonly long: boolean;
  /** Whether brackets set weights (`readPromptWeights`). */
  readonly weights: boolean;
}

interface Word {
  readonly id: number;
  readonly weight: number;
}

/** Tokenizes a prompt. Throws `RequestError` when `maxLength` leaves no room for the begin and end tokens. */
export function encodePrompt(
  tokenizer: ClipTokenizer,
  prompt: string,
  options: PromptOptions,
): EncodedPrompt {
  checkArguments('encodePrompt', {
    tokenizer: [tokenizer, tokenizerSchema],
    prompt: [prompt, z.string()],
    options: [options, promptOptions],
  });
  const { maxLength, long, weights } = options;
  const sections = weights ? readPromptWeights(prompt) : [[{ text: prompt, weight: 1 }]];
  const words = sections.map((section) => wordsOf(tokenizer, section));
  const room = maxLength - 2;
  const rows = long ? words.flatMap((section) => cutInto(section, room)) : [words.flat().slice(0, room)];
  return {
    chunks: rows.map((row) => chunkOf(tokenizer, row, maxLength)),
    cut: long
      ? ''
      : tokenizer.textOf(
          words
            .flat()
            .slice(room)
            .map(({ id }) => id),
        ),
  };
}

/** Pads prompts with empty rows to the same number of rows, so that they fit one batch: by default, to that of the longest. */
export function sameLength(
  tokenizer: ClipTokenizer,
  prompts: readonly EncodedPrompt[],
  maxLength: number,
  rows?: number,
): EncodedPrompt[] {
  checkArguments('sameLength', {
    tokenizer: [tokenizer, tokenizerSchema],
    prompts: [prompts, list],
    maxLength: [maxLength, number],
  });
  const most = rows ?? Math.max(...prompts.map(({ chunks }) => chunks.length));
  const empty = chunkOf(tokenizer, [], maxLength);
  return prompts.map(({ chunks, cut }) => ({
    chunks: [...chunks, ...Array<PromptChunk>(most - chunks.length).fill(empty)],
    cut,
  }));
}

/** Tokenizes each part by itself, so a bracket inside a word splits the word. */
function wordsOf(tokenizer: ClipTokenizer, section: PromptSection): Word[] {
  return section.flatMap(({ text, weight }) => tokenizer.words(text).map((id) => ({ id, weight })));
}

function cutInto(words: readonly Word[], room: number): Word[][] {
  const count = Math.max(Math.ceil(words.length / Math.max(room, 1)), 1);
  return Array.from({ length: count }, (_, i) => words.slice(i * room, (i + 1) * room));
}

function chunkOf(tokenizer: ClipTokenizer, words: readonly Word[], maxLength: number): PromptChunk {
  const ids = tokenizer.frame(
    words.map(({ id }) => id),
    { maxLength },
  );
  return { ids, weights: ids.map((_, i) => words[i - 1]?.weight ?? 1) };
}
