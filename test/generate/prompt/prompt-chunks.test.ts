import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { RequestError, ShapeError } from '../../../src/errors.ts';
import { ClipTokenizer } from '../../../src/generate/clip-tokenizer.ts';
import { joinChunks } from '../../../src/generate/prompt/join-chunks.ts';
import { encodePrompt, sameLength } from '../../../src/generate/prompt/prompt-chunks.ts';

const text = (file: string) =>
  readFileSync(new URL(`../../../models/sd-shapes/tokenizer/${file}`, import.meta.url), 'utf8');
const tokenizer = ClipTokenizer.fromFiles({ vocab: text('vocab.json'), merges: text('merges.txt') });
const plain = { maxLength: 77, long: false, weights: false };
const golden: { prompt: string; ids77: number[] }[] = JSON.parse(
  readFileSync(new URL('../../goldens/tokenizer/hf5.json', import.meta.url), 'utf8'),
);

/** n different words of one token each. */
const [begin, end] = [49406, 49407];
const numbers = (n: number) => Array.from({ length: n }, (_, i) => String(i % 10)).join(' ');

test('without options every recorded prompt is one row, as transformers has it, and all weights are 1', () => {
  for (const { prompt, ids77 } of golden) {
    const { chunks } = encodePrompt(tokenizer, prompt, plain);
    expect(chunks.map(({ ids }) => ids)).toEqual([ids77]);
    expect(chunks[0]?.weights.every((weight) => weight === 1)).toBe(true);
  }
});

test('what does not fit is said, as text', () => {
  const prompt = `${numbers(74)} a naïve photo of Zürich`;
  const { chunks, cut } = encodePrompt(tokenizer, prompt, plain);
  expect(chunks).toHaveLength(1);
  expect(cut).toBe('naïve photo of zürich');
  expect(encodePrompt(tokenizer, numbers(75), plain).cut).toBe('');
});

test.each([
  [0, 1],
  [75, 1],
  [76, 2],
  [150, 2],
  [151, 3],
])('a long prompt of %d tokens is %d rows that hold them all in order', (count, rows) => {
  const { chunks, cut } = encodePrompt(tokenizer, numbers(count), { ...plain, long: true });
  expect(chunks).toHaveLength(rows);
  expect(cut).toBe('');
  for (const { ids } of chunks) expect([ids.length, ids[0]]).toEqual([77, begin]);
  const words = chunks.flatMap(({ ids }) => ids.slice(1, ids.indexOf(end)));
  expect(words).toEqual(tokenizer.words(numbers(count)));
});

test('weights lie on the tokens of their words, brackets are none, BREAK begins a row', () => {
  const options = { maxLength: 8, long: true, weights: true };
  const { chunks } = encodePrompt(tokenizer, 'a (red cat:1.5) BREAK [dog]', options);
  expect(chunks).toEqual([
    {
      ids: [begin, ...tokenizer.words('a red cat'), end, end, end, end],
      weights: [1, 1, 1.5, 1.5, 1, 1, 1, 1],
    },
    {
      ids: [begin, ...tokenizer.words('dog'), end, end, end, end, end, end],
      weights: [1, 1 / 1.1, 1, 1, 1, 1, 1, 1],
    },
  ]);
  const one = encodePrompt(tokenizer, 'a BREAK b', { ...options, long: false });
  expect(one.chunks[0]?.ids.slice(0, 4)).toEqual([begin, ...tokenizer.words('a b'), end]);
});

test('without weights brackets are words like any other', () => {
  const { chunks } = encodePrompt(tokenizer, '(red:1.5)', plain);
  expect(chunks[0]?.ids).toEqual(tokenizer.encode('(red:1.5)', { maxLength: 77 }));
});

test('prompts that are drawn together get equally many rows', () => {
  const prompts = ['', numbers(80)].map((prompt) =>
    encodePrompt(tokenizer, prompt, { ...plain, long: true }),
  );
  const [first, second] = sameLength(tokenizer, prompts, 77);
  expect(first?.chunks.map(({ ids }) => ids)).toEqual([
    tokenizer.encode('', { maxLength: 77 }),
    tokenizer.encode('', { maxLength: 77 }),
  ]);
  expect(second).toEqual(prompts[1]);
});

test('a row without room for begin and end is refused', () => {
  expect(() => encodePrompt(tokenizer, 'a', { ...plain, maxLength: 1 })).toThrow(RequestError);
});

const hidden = (rows: number, data: readonly number[]) =>
  ({ dtype: 'f32', shape: [rows, 2, 2], data: Float32Array.from(data) }) as const;
const chunk = (...weights: number[]) => ({ ids: weights.map(() => 0), weights });

test('rows are joined in their order, to the bit, where nothing is weighted', () => {
  const states = hidden(2, [1, 2, 3, 4, 5, 6, 7, 8]);
  const joined = joinChunks(states, [chunk(1, 1), chunk(1, 1)]);
  expect(joined.shape).toEqual([1, 4, 2]);
  expect(joined.data).toEqual(states.data);
});

test('weights multiply the states of their tokens, and the mean stays', () => {
  const values = [1, 2, 3, 4, 5, 6, 7, 8];
  const weights = [1, 1.5, 0.5, 1];
  // The definition, number by number: 1 2 | 4.5 6 | 2.5 3 | 7 8 has the mean 4.25, not 4.5.
  const expected = values.map((value, i) => (value * (weights[Math.floor(i / 2)] ?? 1) * 4.5) / 4.25);
  const { data } = joinChunks(hidden(2, values), [chunk(1, 1.5), chunk(0.5, 1)]);
  for (const [i, value] of expected.entries()) expect(data[i]).toBeCloseTo(value, 5);
});

test('weights that leave no mean are not divided by it', () => {
  const { data } = joinChunks(hidden(1, [1, 1, 1, 1]), [chunk(1, -1)]);
  expect([...data]).toEqual([1, 1, -1, -1]);
});

test('states of another prompt are refused', () => {
  expect(() => joinChunks(hidden(2, [1, 2, 3, 4, 5, 6, 7, 8]), [chunk(1, 1)])).toThrow(ShapeError);
});
