import type { SideFile } from './side-file.ts';
import { readSideText, sideFileName } from './side-file.ts';
import { addedTokens } from './tokenizer-files.ts';

/**
 * Apple's Swift package reads a vocabulary and merges, but no added tokens: it lower-cases the prompt, splits it at
 * spaces, and applies the merges to the letters of each word. So an added token becomes an ordinary word: it gets an
 * entry in the vocabulary, and merges that join the pieces that the other merges leave of it.
 */

/** The `vocab.json` and `merges.txt` of a tokenizer (as far as it has them), with its added tokens in them. */
export async function swiftVocabulary(files: readonly SideFile[]): Promise<readonly SideFile[]> {
  const [vocab, merges] = ['vocab.json', 'merges.txt'].map((name) =>
    files.find((file) => sideFileName(file) === name),
  );
  const own = [vocab, merges].filter((file) => file !== undefined);
  const added = await addedTokens(files);
  if (!vocab || !merges || added.size === 0) return own;
  const known: Record<string, number> = JSON.parse(await readSideText(vocab));
  const fresh = [...added].filter(([token]) => !(token in known));
  if (fresh.length === 0) return own;
  const all = (await readSideText(merges)).trimEnd().split('\n');
  for (const [token] of fresh) all.push(...mergesFor(token.toLowerCase(), all));
  const entries = fresh.flatMap(([token, id]) => [
    [token, id],
    [`${token.toLowerCase()}</w>`, id],
  ]);
  return [
    { name: 'vocab.json', text: `${JSON.stringify({ ...known, ...Object.fromEntries(entries) })}\n` },
    { name: 'merges.txt', text: `${all.join('\n')}\n` },
  ];
}

/** Merges that join the pieces that the present merges leave of a word. */
function mergesFor(word: string, lines: readonly string[]): string[] {
  const [first = '', ...rest] = pieces(word, new Map(lines.map((line, rank) => [line, rank])));
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
