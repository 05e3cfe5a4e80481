import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readPromptWeights } from '../../../src/generate/prompt/prompt-weights.ts';

/** `text·weight|…`, sections apart by `//`, weights to four digits. */
function written(prompt: string): string {
  const parts = readPromptWeights(prompt).map((section) =>
    section.map(({ text, weight }) => `${text}·${Number(weight.toFixed(4))}`).join('|'),
  );
  return parts.join(' // ');
}

test.each([
  ['a red cat', 'a red cat·1'],
  ['', ''],
  ['a (red) cat', 'a ·1|red·1.1| cat·1'],
  ['a ((red)) cat', 'a ·1|red·1.21| cat·1'],
  ['a [red] cat', 'a ·1|red·0.9091| cat·1'],
  ['a (red:1.5) cat', 'a ·1|red·1.5| cat·1'],
  ['a (red : 0.5 ) cat', 'a ·1|red ·0.5| cat·1'],
  ['(a (red:1.5) cat)', 'a ·1.1|red·1.65| cat·1.1'],
  ['([red])', 'red·1'],
  ['(one)(two)', 'onetwo·1.1'],
  ['(red:-1)', 'red·-1'],
  ['(red:.5)', 'red·0.5'],
  ['(never closed [at all', 'never closed ·1.1|at all·1'],
  ['a) cat]', 'a) cat]·1'],
  ['at 12:30 (or:so)', 'at 12:30 ·1|or:so·1.1'],
  ['no bracket:1.2)', 'no bracket:1.2)·1'],
  ['(red:1.2.3)', 'red:1.2.3)·1.1'],
  ['\\(a\\) \\[b\\] \\\\ \\c', '(a) [b] \\ c·1'],
  ['(\\(a\\):2)', '(a)·2'],
  ['a cat BREAK a (dog)', 'a cat·1 // a ·1|dog·1.1'],
  ['(a BREAK b)', 'a·1.1 // b·1.1'],
  ['UNBREAKABLE', 'UNBREAKABLE·1'],
])('%s means %s', (prompt, expected) => {
  expect(written(prompt)).toBe(expected);
});

test('no weight leaves what float32 can hold, and brackets beyond two hundred are text', () => {
  expect(written(`(red:${'9'.repeat(400)})`)).toBe('red·1000000');
  expect(written(`(red:-${'9'.repeat(400)})`)).toBe('red·-1000000');
  expect(written('('.repeat(1000))).toBe(`${'('.repeat(800)}·1000000`);
  expect(written('[a'.repeat(201))).toMatch(/\[a·0$/);
});

const words = fc.string({ unit: fc.constantFrom(...'ab :.1()[]\\é😀') });

test('a prompt whose signs are escaped means itself', () => {
  fc.assert(
    fc.property(words, (text) => {
      const escaped = text.replace(/[()[\]\\]/g, '\\$&');
      expect(readPromptWeights(escaped)).toEqual([text === '' ? [] : [{ text, weight: 1 }]]);
    }),
  );
});

test('any text is a prompt, in time that grows with its length', () => {
  fc.assert(
    fc.property(words, (text) => {
      for (const { weight } of readPromptWeights(text).flat()) expect(Number.isFinite(weight)).toBe(true);
    }),
  );
  expect(readPromptWeights(`a${' '.repeat(100_000)}b`).flat()).toHaveLength(1);
  const parts = readPromptWeights('(a'.repeat(100_000)).flat();
  expect(parts.map(({ text }) => text).join('')).toBe(`${'a'.repeat(200)}${'(a'.repeat(99_800)}`);
}, 10_000);
