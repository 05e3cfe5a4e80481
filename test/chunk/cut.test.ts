import { expect, test } from 'vitest';
import { type CutModel, type CutOperation, cutModel } from '../../src/chunk/cut.ts';
import { UnsupportedModelError } from '../../src/errors.ts';
import { thrownBy } from '../support/thrown-by.ts';

/** `c = add(a, b)` is an operation; what is written `c := …` may be done again on inputs, `c ~= …` never. */
function modelOf(
  lines: readonly string[],
  weights: Readonly<Record<string, number>> = {},
): CutModel<CutOperation> {
  const operations = lines.map((line): CutOperation => {
    const [, write = '', sign, reads = ''] = /^(\w+) (:=|~=|=) \w+\((.*)\)$/.exec(line) ?? [];
    return {
      reads: reads.split(', ').filter((name) => name !== ''),
      writes: [write],
      weightBytes: weights[write] ?? 0,
      repeatable: sign === ':=' ? 'on inputs' : sign === '~=' ? 'never' : 'on constants',
    };
  });
  const values = new Map(operations.flatMap(({ writes }) => writes).map((name) => [name, { byteLength: 1 }]));
  return { operations, inputs: ['x', 'text'], outputs: ['y'], values };
}

function cut(lines: readonly string[], weights: Readonly<Record<string, number>>, outputs = ['y']) {
  return cutModel({ ...modelOf(lines, weights), outputs }, 1000).map(({ operations, ...chunk }) => ({
    ...chunk,
    made: operations.flatMap(({ writes }) => writes),
  }));
}

test('constants, and what is made of them alone, are in every chunk that reads them and cross no cut', () => {
  const chunks = cut(
    [
      'palette = const()',
      'w1 = const()',
      'w2 = const()',
      'unfolded = cast(palette)',
      'h = linear(x, w1, unfolded)',
      'y = linear(h, w2, unfolded)',
    ],
    { palette: 10, w1: 500, w2: 500 },
  );
  expect(chunks).toEqual([
    { inputs: ['x'], entering: [], leaving: ['h'], outputs: [], made: ['palette', 'w1', 'unfolded', 'h'] },
    { inputs: [], entering: ['h'], leaving: [], outputs: ['y'], made: ['palette', 'w2', 'unfolded', 'y'] },
  ]);
});

test('a constant that two chunks need counts in both', () => {
  const lines = ['w = const()', 'a = linear(x, w)', 'b = linear(a, w)', 'y = linear(b, w)'];
  expect(cut(lines, { w: 600 })).toHaveLength(3);
});

test('an input that is only laid out anew is laid out in each chunk, and what is computed from it crosses', () => {
  const lines = [
    'w1 = const()',
    'w2 = const()',
    'columns := transpose(text)',
    'laid_out := reshape(columns)',
    'twice = add(laid_out, laid_out)',
    'h = linear(x, w1)',
    'near = add(h, twice)',
    'z = linear(near, w2)',
    'u = add(z, laid_out)',
    'y = add(u, twice)',
  ];
  const [first, second] = cut(lines, { w1: 800, w2: 800 });
  expect(first?.leaving).toEqual(['twice', 'h']);
  expect(second).toMatchObject({ inputs: ['text'], entering: ['twice', 'h'] });
  expect(second?.made).toEqual(['w2', 'columns', 'laid_out', 'near', 'z', 'u', 'y']);
});

test('random numbers are drawn once', () => {
  const lines = [
    'w1 = const()',
    'w2 = const()',
    'noise ~= random_normal()',
    'h = linear(noise, w1)',
    'g = linear(h, w2)',
    'y = add(g, noise)',
  ];
  const [first, second] = cut(lines, { w1: 800, w2: 800 });
  expect(first?.leaving).toEqual(['noise', 'h']);
  expect(second?.made).not.toContain('noise');
});

test('what crosses is listed in the order in which it is computed, on both sides', () => {
  const lines = [
    'w1 = const()',
    'w2 = const()',
    'a = relu(x)',
    'b = relu(a)',
    'h = linear(b, w1)',
    'g = linear(h, w2)',
    'c = add(g, b)',
    'y = add(c, a)',
  ];
  const [first, second] = cut(lines, { w1: 800, w2: 800 });
  expect(first?.leaving).toEqual(['a', 'b', 'h']);
  expect(second?.entering).toEqual(['a', 'b', 'h']);
});

test('an output is given by the chunk that computes it, even one that is only an input laid out anew', () => {
  const lines = [
    'w1 = const()',
    'w2 = const()',
    'early := reshape(x)',
    'h = linear(early, w1)',
    'y = linear(h, w2)',
  ];
  const chunks = cut(lines, { w1: 800, w2: 800 }, ['early', 'y']);
  expect(chunks.map(({ outputs }) => outputs)).toEqual([['early'], ['y']]);
});

test('what a skip over a whole chunk needs is taken from the chunk that made it', () => {
  const lines = [
    'w1 = const()',
    'w2 = const()',
    'w3 = const()',
    'a = linear(x, w1)',
    'b = linear(a, w2)',
    'c = linear(b, w3)',
    'y = add(c, a)',
  ];
  const [first, second, third] = cut(lines, { w1: 900, w2: 900, w3: 900 });
  expect(first?.leaving).toEqual(['a']);
  expect(second).toMatchObject({ entering: ['a'], leaving: ['b'] });
  expect(third?.entering).toEqual(['a', 'b']);
});

test('a chain of constants that every operation reads is refused: its cost would be the square of its length', () => {
  const long = 3000;
  const constants = Array.from({ length: long }, (_, at) => `c${at + 1} = cast(${at === 0 ? '' : `c${at}`})`);
  const layers = Array.from(
    { length: long },
    (_, at) => `h${at + 1} = add(${at === 0 ? 'x' : `h${at}`}, c${long})`,
  );
  const error = thrownBy(() => cut([...constants, ...layers, `y = cast(h${long})`], {}));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toContain('the model cannot be cut');
});
