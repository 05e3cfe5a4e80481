import type { TokenizerParts } from './tokenizer-parts.ts';

/** Counts of a tokenizer's words. */
export interface WordCounts {
  /** Number of its last token. */
  readonly largest: number;
  readonly merges: number;
  /** Words that merges make. */
  readonly made: number;
  /** Words whose number another one has, too. */
  readonly shared: number;
}

/**
 * What of a tokenizer contradicts itself, by counting: a word is a letter, made by a merge, or a token of its own. A `merges.txt`
 * that ends too early, at the end of a line, is told by nothing else. `name` is that of its folder.
 */
export function notesOnWords(name: string, { merges, made, shared }: WordCounts): string[] {
  return [
    ...(made === merges
      ? []
      : [
          `the ${name} has ${merges.toLocaleString('en')} merges, and its vocab.json words for ${made.toLocaleString('en')}: one of them may be cut off, or of another tokenizer, and prompts are read otherwise.`,
        ]),
    ...(shared === 0
      ? []
      : [`the ${name} gives ${shared.toLocaleString('en')} words the numbers of others in its vocab.json.`]),
  ];
}

/** Counts the words of a tokenizer with tokens that were added to its vocabulary. */
export function countWords(
  { vocab, merges, special }: TokenizerParts,
  added: ReadonlyMap<string, number> = new Map(),
): WordCounts {
  const ids = Object.values(vocab);
  const largest = ids.reduce((most, id) => Math.max(most, id), 0);
  const seen = new Uint8Array(largest + 1); // a Set of 50,000 takes 20 ms
  for (const id of ids) seen[id] = 1;
  const own = new Set([...Object.values(special).map(({ content }) => content), ...added.keys()]);
  const known = [...own].filter((word) => Object.hasOwn(vocab, word));
  const others = ids.length - known.length - BYTES;
  return {
    largest: Math.max(largest, ...added.values()),
    merges: merges.length,
    // Their list takes 10 ms, which an intact tokenizer need not.
    made:
      others === merges.length
        ? others
        : Object.keys(vocab).filter(isLong).length - known.filter(isLong).length,
    shared: ids.length - seen.reduce((sum, one) => sum + one, 0),
  };
}

/** Letters of a whole vocabulary: the bytes, each within a word and at its end. */
const BYTES = 512;

/** Whether a word has more than one letter; the mark of an end is none. */
function isLong(word: string): boolean {
  return word.length > 5 || (word.length > 1 && !(word.length > 3 && word.endsWith('</w>')));
}
