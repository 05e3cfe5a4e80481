/** Some of a prompt, and how much of it is meant: 1 is as written. */
export interface PromptPart {
  readonly text: string;
  readonly weight: number;
}

/** A run of parts that are encoded together: `BREAK` between words begins a new one. */
export type PromptSection = readonly PromptPart[];

/**
 * Reads the weights in a prompt as people write them since AUTOMATIC1111's web UI: `(word)` is 1.1 times as strong,
 * `[word]` 1.1 times weaker, `(word:1.3)` as strong as said; brackets multiply, and those that are never closed reach to
 * the end. `\(`, `\)`, `\[`, `\]` and `\\` are the signs themselves; `BREAK` begins a section. Any text is a prompt:
 * what fits no rule means itself. Parts are never empty, sections may be; there is at least one.
 *
 * @example
 * readPromptWeights('a (red:1.3) [round] cat'); // [[a ·1] [red ·1.3] [ ·1] [round ·0.909…] [ cat ·1]]
 */
export function readPromptWeights(prompt: string): PromptSection[] {
  const reader = new Reader();
  for (const [token, number] of prompt.matchAll(TOKENS)) reader.take(token, number);
  return reader.sections();
}

/** An escaped sign, a weight with its bracket, a bracket, or anything up to the next of these. */
const TOKENS = /\\[()[\]\\]?|:\s*([+-]?[.\d]+)\s*\)|[()[\]]|[^\\()[\]:]+|:/g;

const STEP = 1.1;

class Reader {
  readonly #parts: { text: string; weight: number; breaks: boolean }[] = [];
  /** Where the brackets that are open begin. */
  readonly #round: number[] = [];
  readonly #square: number[] = [];

  take(token: string, number: string | undefined): void {
    const weight = number === undefined ? Number.NaN : Number(number);
    if (token.startsWith('\\')) this.#add(token.slice(1));
    else if (token === '(') this.#round.push(this.#parts.length);
    else if (token === '[') this.#square.push(this.#parts.length);
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
    for (const [i, words] of text.split(/\s*\bBREAK\b\s*/).entries()) this.#add(words, i > 0);
  }

  #add(text: string, breaks = false): void {
    this.#parts.push({ text, weight: 1, breaks });
  }

  #multiply(start: number | undefined, weight: number): void {
    for (const part of this.#parts.slice(start)) part.weight *= weight;
  }
}
