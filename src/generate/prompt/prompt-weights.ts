import { z } from 'zod';
import { checkArguments } from '../../io/check-call.ts';
/** Part of a prompt and its weight; 1 is neutral. */
export interface PromptPart {
  readonly text: string;
  readonly weight: number;
}

/** Parts that are encoded together; `BREAK` between words starts a new section. */
export type PromptSection = readonly PromptPart[];

/**
 * Parses prompt weights in the syntax of AUTOMATIC1111's web UI: `(word)` multiplies the weight by 1.1, `[word]` divides
 * it by 1.1, `(word:1.3)` multiplies it by 1.3; nested brackets multiply, and unclosed ones reach to the end. `\(`, `\)`,
 * `\[`, `\]` and `\\` are the characters themselves; `BREAK` starts a section. Every text is a valid prompt: what matches
 * no rule is plain text. Weights are at most a million. Parts are never empty, sections may be; there is at least one section.
 *
 * @example
 * readPromptWeights('a (red:1.3) [round] cat'); // [[a ·1] [red ·1.3] [ ·1] [round ·0.909…] [ cat ·1]]
 */
export function readPromptWeights(prompt: string): PromptSection[] {
  checkArguments('readPromptWeights', { prompt: [prompt, z.string()] });
  const reader = new Reader();
  for (const [token, number] of prompt.matchAll(TOKENS)) reader.take(token, number);
  return reader.sections();
}

/** An escaped character, a weight with its closing bracket, a bracket, or any text up to the next of these. */
const TOKENS = /\\[()[\]\\]?|:\s*([+-]?[.\d]+)\s*\)|[()[\]]|[^\\()[\]:]+|:/g;

const STEP = 1.1;

/** What is larger computes the same: all is scaled to one mean. Beyond float32 it would be nothing. */
const LARGEST = 1e6;

/** Brackets within brackets that count; each multiplies all that it holds. */
const DEEPEST = 200;

class Reader {
  readonly #parts: { text: string; weight: number; breaks: boolean }[] = [];
  /** Index of the first part inside each open bracket. */
  readonly #round: number[] = [];
  readonly #square: number[] = [];

  take(token: string, number: string | undefined): void {
    const weight = number === undefined ? Number.NaN : Number(number);
    if (token.startsWith('\\')) this.#add(token.slice(1));
    else if (token === '(' && this.#round.length < DEEPEST) this.#round.push(this.#parts.length);
    else if (token === '[' && this.#square.length < DEEPEST) this.#square.push(this.#parts.length);
    else if (!Number.isNaN(weight) && this.#round.length > 0) this.#multiply(this.#round.pop(), weight);
    else if (token === ')' && this.#round.length > 0) this.#multiply(this.#round.pop(), STEP);
    else if (token === ']' && this.#square.length > 0) this.#multiply(this.#square.pop(), 1 / STEP);
    else this.#addWords(token);
  }

  sections(): PromptSection[] {
    for (const start of this.#round) this.#multiply(start, STEP);
    for (const start of this.#square) this.#multiply(start, 1 / STEP);
    const sections: PromptPart[][] = [[]];
    for (const { text, weight, breaks } of this.#parts) {
      if (breaks) sections.push([]);
      const section = sections.at(-1) ?? [];
      const last = section.at(-1);
      if (last?.weight === weight) section[section.length - 1] = { text: last.text + text, weight };
      else if (text !== '') section.push({ text, weight });
    }
    return sections;
  }

  #addWords(text: string): void {
    // Space is cut off afterwards: to look for it before each word takes a long space's square of time.
    const all = text.split(/\bBREAK\b/);
    for (const [i, words] of all.entries()) {
      const begun = i > 0 ? words.trimStart() : words;
      this.#add(i < all.length - 1 ? begun.trimEnd() : begun, i > 0);
    }
  }

  #add(text: string, breaks = false): void {
    this.#parts.push({ text, weight: 1, breaks });
  }

  #multiply(start: number | undefined, weight: number): void {
    for (const part of this.#parts.slice(start))
      part.weight = Math.min(LARGEST, Math.max(-LARGEST, part.weight * weight));
  }
}
