import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addDims,
  bindDim,
  type Dim,
  divideDim,
  formatDim,
  leastOf,
  multiplyDims,
  sameDim,
  subtractDims,
  symbol,
  windowDim,
} from '../../src/graph/dim.ts';

const [height, width] = [symbol('height'), symbol('width')];
const pixels = multiplyDims([height, width]);

test.each<[string, Dim]>([
  ['77', 77],
  ['height', height],
  ['height / 2', divideDim(height, 2)],
  ['latent_height * 8', multiplyDims([symbol('latent_height'), 8])],
  ['height * width / 16', divideDim(pixels, 16)],
  ['height * 3 / 4', divideDim(multiplyDims([height, 3]), 4)],
  ['height * width / 4 + 333', addDims([333, divideDim(pixels, 4)])],
  ['height * height + height * 2 + 1', multiplyDims([addDims([height, 1]), addDims([1, height])])],
  [
    'height - width * 2 - 1 / 2',
    divideDim(addDims([multiplyDims([height, 2]), multiplyDims([width, -4]), -1]), 2),
  ],
  ['-height + 77', subtractDims(77, height)],
])('a size is written %s, which consumers can compute with', (text, dim) => {
  expect(formatDim(dim)).toBe(text);
});

test('a sum or product of sizes is the same in any order, and a number where nothing is free', () => {
  expect(sameDim(multiplyDims([width, 4, divideDim(height, 2)]), multiplyDims([pixels, 2]))).toBe(true);
  expect(sameDim(addDims([333, pixels, height]), addDims([height, 300, pixels, 33]))).toBe(true);
  expect(multiplyDims([2, 3, 4])).toBe(24);
  expect(multiplyDims([])).toBe(1);
  expect(multiplyDims([height, 0])).toBe(0);
  expect(addDims([])).toBe(0);
  expect(subtractDims(addDims([pixels, 333]), pixels)).toBe(333);
});

test('text and picture tokens together, less the text tokens, are the picture tokens', () => {
  const picture = multiplyDims([divideDim(height, 2), divideDim(width, 2)]);
  const joint = addDims([333, picture]);
  expect(sameDim(subtractDims(joint, 333), picture)).toBe(true);
  expect(sameDim(divideDim(multiplyDims([joint, 24]), 24), joint)).toBe(true);
});

test('a size is the same only with the same symbols to the same powers', () => {
  expect(sameDim(height, width)).toBe(false);
  expect(sameDim(multiplyDims([height, height]), height)).toBe(false);
  expect(sameDim(multiplyDims([height, 2]), height)).toBe(false);
  expect(sameDim(addDims([height, 2]), height)).toBe(false);
  expect(sameDim(height, 64)).toBe(false);
  expect(sameDim(height, symbol('height'))).toBe(true);
});

test('formulas are canonical: two ways to a size compare as the same, and their values are those of the arithmetic', () => {
  const size = fc.letrec<{ dim: [Dim, (h: number, w: number) => number] }>((tie) => ({
    dim: fc.oneof(
      { maxDepth: 4 },
      fc.constant<[Dim, (h: number, w: number) => number]>([height, (h) => h]),
      fc.constant<[Dim, (h: number, w: number) => number]>([width, (_, w) => w]),
      fc.integer({ min: -5, max: 400 }).map<[Dim, () => number]>((n) => [n, () => n]),
      fc
        .tuple(tie('dim'), tie('dim'))
        .map<[Dim, (h: number, w: number) => number]>(([[a, x], [b, y]]) => [
          addDims([a, b]),
          (h, w) => x(h, w) + y(h, w),
        ]),
      fc
        .tuple(tie('dim'), tie('dim'))
        .map<[Dim, (h: number, w: number) => number]>(([[a, x], [b, y]]) => [
          multiplyDims([a, b]),
          (h, w) => x(h, w) * y(h, w),
        ]),
    ),
  })).dim;
  fc.assert(
    fc.property(size, size, size, ([a, valueOfA], [b], [c]) => {
      expect(bindDim(a, { height: 6, width: 10 })).toBeCloseTo(valueOfA(6, 10));
      const [left, right] = [
        multiplyDims([a, addDims([b, c])]),
        addDims([multiplyDims([c, a]), multiplyDims([a, b])]),
      ];
      expect(left).toEqual(right);
      expect(sameDim(subtractDims(addDims([a, b]), b), a)).toBe(true);
      expect(divideDim(multiplyDims([a, 49]), 49)).toEqual(a);
    }),
  );
});

describe('the size after a window', () => {
  test.each([
    [64, 3, 1, 2, 64],
    [64, 3, 2, 2, 32],
    [65, 3, 2, 2, 33],
    [64, 3, 2, 1, 32], // the VAE encoder's downsampler
    [3, 3, 1, 0, 1],
  ])('of %i with a kernel of %i, stride %i, padded by %i is %i', (size, kernel, stride, padding, result) => {
    expect(windowDim(size, kernel, stride, padding)).toBe(result);
  });

  test('is refused where the window is larger than the padded image', () => {
    expect(windowDim(2, 3, 1, 0)).toBeUndefined();
    expect(windowDim(1, 5, 2, 2)).toBeUndefined();
  });

  test('of a free size is a formula', () => {
    const windowed = (kernel: number, stride: number, padding: number) =>
      formatDim(windowDim(height, kernel, stride, padding) ?? Number.NaN);
    expect(windowed(3, 1, 2)).toBe('height');
    expect(windowed(3, 2, 2)).toBe('height / 2');
    expect(windowed(3, 2, 1)).toBe('height / 2');
    expect(windowed(2, 2, 0)).toBe('height / 2');
    expect(windowed(3, 1, 0)).toBe('height - 2');
    expect(windowed(1, 1, 2)).toBe('height + 2');
  });
});

test('symbols become the sizes that a caller has, and fractions of pixels are refused', () => {
  const tokens = addDims([divideDim(pixels, 4), 333]);
  expect(bindDim(tokens, { height: 64, width: 96 })).toBe(1869);
  expect(bindDim(77, {})).toBe(77);
  expect(() => bindDim(divideDim(height, 2), { height: 63 })).toThrow(
    new RangeError('height / 2 is 31.5 for {"height":63}'),
  );
  expect(() => bindDim(width, { height: 64 })).toThrow(new RangeError('width is NaN for {"height":64}'));
});

test('numbers divide without a rest, and only whole ones stand beside symbols', () => {
  expect(divideDim(320, 8)).toBe(40);
  expect(() => divideDim(77, 2)).toThrow(new RangeError('77 is not a multiple of 2'));
  expect(() => multiplyDims([height, 0.5])).toThrow(new RangeError('0.5 is not a whole number'));
  expect(() => addDims([height, 0.5])).toThrow(new RangeError('0.5 is not a whole number'));
});

test('the least a size can be is known where more of a symbol never makes it less', () => {
  expect(leastOf(77)).toBe(77);
  expect(leastOf(addDims([pixels, 333]))).toBe(334);
  expect(leastOf(subtractDims(height, 2))).toBe(-1);
  expect(leastOf(subtractDims(77, height))).toBe(Number.NEGATIVE_INFINITY);
});
