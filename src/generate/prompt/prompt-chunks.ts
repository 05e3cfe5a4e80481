import type { ClipTokenizer } from '../clip-tokenizer.ts';
import { type PromptSection, readPromptWeights } from './prompt-weights.ts';

/**
 * A prompt as the text encoder takes it. diffusers takes one row of 77 tokens and cuts what is longer, brackets and all;
 * so does this, unless long prompts or weights are asked for. A long prompt becomes several rows, each with its begin and
 * end, encoded one by one and joined: 154, 231 … tokens, for networks that take any number.
 *
 * @example
 * const prompts = sameLength(tokenizer, [negative, positive].map((text) => encodePrompt(tokenizer, text, options)), 77);
 * const hidden = await encodePrompts(textEncoder, prompts.flatMap(({ chunks }) => chunks.map(({ ids }) => ids)));
 * // then joinChunks for each prompt's rows of `hidden`
 */
export interface EncodedPrompt {
  /** At least one. */
  readonly chunks: readonly PromptChunk[];
  /** What did not fit and is left out, as text; empty where all fits. */
  readonly cut: string;
}

/** One row for the text encoder. */
export interface PromptChunk {
  /** `maxLength` token ids: begin, words, end, padding. */
  readonly ids: readonly number[];
  /** How strongly each is meant. */
  readonly weights: readonly number[];
}

/** How to read a prompt. */
export interface PromptOptions {
  /** Tokens in a row, begin and end included: 77 for CLIP. */
  readonly maxLength: number;
  /** Whether what does not fit in one row goes on in another. */
  readonly long: boolean;
  /** Whether brackets are weights (`readPromptWeights`). */
  readonly weights: boolean;
}

interface Word {
  readonly id: number;
  readonly weight: number;
}

/** A prompt's rows. Throws `RequestError` when `maxLength` leaves no room for begin and end. */
export function encodePrompt(
  tokenizer: ClipTokenizer,
  prompt: string,
  { maxLength, long, weights }: PromptOptions,
): EncodedPrompt {
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

/** The prompts with equally many rows, as one run of the network needs them: empty rows are added. */
export function sameLength(
  tokenizer: ClipTokenizer,
  prompts: readonly EncodedPrompt[],
  maxLength: number,
): EncodedPrompt[] {
  const most = Math.max(...prompts.map(({ chunks }) => chunks.length));
  const empty = chunkOf(tokenizer, [], maxLength);
  return prompts.map(({ chunks, cut }) => ({
    chunks: [...chunks, ...Array<PromptChunk>(most - chunks.length).fill(empty)],
    cut,
  }));
}

/** Each part is encoded by itself, so a bracket within a word parts it. */
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
