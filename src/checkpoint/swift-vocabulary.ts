import { FileFormatError } from '../errors.ts';
import { parsePythonJson } from '../io/json/python-json.ts';
import { readSideText, type SideFile, sideFileCalled, sideFileName } from './side-file.ts';
import { addedTokens } from './tokenizer-files.ts';
import { isVocab, type Vocab } from './tokenizer-parts.ts';

/**
 * Apple's Swift package reads a vocabulary and merges, but no added tokens: it lower-cases the prompt, splits it at
 * spaces, and applies the merges to the letters of each word. So an added token becomes an ordinary word: it gets an
 * entry in the vocabulary, and merges that join the pieces that the other merges leave of it.
 */

/** The `vocab.json` and `merges.txt` of a tokenizer (as far as it has them), with its added tokens in them. */
export async function swiftVocabulary(files: readonly SideFile[]): Promise<readonly SideFile[]> {
  const [vocab, merges] = ['vocab.json', 'merges.txt'].map((name) => sideFileCalled(files, name));
  const own = [vocab, merges].filter((file) => file !== undefined);
  const added = await addedTokens(files);
  if (!vocab || !merges || added.size === 0) return own;
  const known = readVocabulary(await readSideText(vocab), sideFileName(vocab));
  const fresh = [...added].filter(([token]) => !Object.hasOwn(known, token));
  if (fresh.length === 0) return own;
  const all = (await readSideText(merges)).trimEnd().split('\n');
  const ranks = new Map(all.map((line, rank) => [line, rank]));
  for (const [token] of fresh) {
    for (const merge of mergesFor(token.toLowerCase(), ranks)) {
      all.push(merge);
      ranks.set(merge, all.length - 1);
    }
  }
  const entries = fresh.flatMap(([token, id]) => [
    [token, id],
    [`${token.toLowerCase()}</w>`, id],
  ]);
  return [
    { name: 'vocab.json', text: `${JSON.stringify({ ...known, ...Object.fromEntries(entries) })}\n` },
    { name: 'merges.txt', text: `${all.join('\n')}\n` },
  ];
}

function readVocabulary(text: string, file: string): Vocab {
  const vocab = parsePythonJson(text, file);
  if (isVocab(vocab)) return vocab;
  throw new FileFormatError({
    problem: `${file} is not a table of tokens and their numbers.`,
    advice: 'Download the checkpoint again.',
  });
}

/** Merges that join the pieces that the present merges, by rank, leave of a word. */
function mergesFor(word: string, ranks: ReadonlyMap<string, number>): string[] {
  const [first = '', ...rest] = pieces(word, ranks);
  const merges: string[] = [];
  let whole = first;
  for (const piece of rest) {
    merges.push(`${whole} ${piece}`);
    whole += piece;
  }
  return merges;
}

/** Byte-pair encodes a word: merges the adjacent pair of the lowest rank until no pair has one. */
function pieces(word: string, ranks: ReadonlyMap<string, number>): string[] {
  const letters = [...word];
  let parts = letters.map((letter, at) => (at === letters.length - 1 ? `${letter}</w>` : letter));
  for (;;) {
    const pairs = parts.slice(1).map((part, at) => `${parts[at]} ${part}`);
    const ranked = pairs.map((pair) => ranks.get(pair) ?? Number.POSITIVE_INFINITY);
    const lowest = Math.min(...ranked);
    if (!Number.isFinite(lowest)) return parts;
    const pair = pairs[ranked.indexOf(lowest)];
    const merged: string[] = [];
    for (let at = 0; at < parts.length; at++) {
      const isPair = `${parts[at]} ${parts[at + 1]}` === pair;
      merged.push(isPair ? `${parts[at]}${parts[at + 1]}` : (parts[at] ?? ''));
      if (isPair) at++;
    }
    parts = merged;
  }
}
