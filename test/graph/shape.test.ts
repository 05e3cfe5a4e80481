import { describe, expect, test } from 'vitest';
import {
  bindShape,
  type Dim,
  dimAt,
  fixedDimAt,
  formatDim,
  formatShape,
  isFixed,
  multiplyDims,
  sameDim,
  sameShape,
  symbol,
  windowDim,
} from '../../src/graph/shape.ts';

const [height, width] = [symbol('height'), symbol('width')];

test.each<[Dim, string]>([
  [77, '77'],
  [height, 'height'],
  [{ scale: 0.5, symbols: ['height'] }, 'height / 2'],
  [{ scale: 8, symbols: ['latent_height'] }, 'latent_height * 8'],
  [{ scale: 1 / 16, symbols: ['height', 'width'] }, 'height * width / 16'],
])('%j is written %s, which consumers can compute with', (dim, text) => {
  expect(formatDim(dim)).toBe(text);
});

test('a product of sizes is the same in any order, and a number where nothing is free', () => {
  const halfHeight = multiplyDims([height, 0.5]);
  expect(multiplyDims([width, 4, halfHeight])).toEqual({ scale: 2, symbols: ['height', 'width'] });
  expect(sameDim(multiplyDims([height, width]), multiplyDims([width, height]))).toBe(true);
  expect(multiplyDims([2, 3, 4])).toBe(24);
  expect(multiplyDims([])).toBe(1);
  expect(multiplyDims([height, 0])).toBe(0);
});

test('a size is the same only with the same symbols to the same powers', () => {
  expect(sameDim(height, width)).toBe(false);
  expect(sameDim(multiplyDims([height, height]), height)).toBe(false);
  expect(sameDim(multiplyDims([height, 2]), height)).toBe(false);
  expect(sameDim(height, 64)).toBe(false);
  expect(sameShape([1, height], [1, height, 1])).toBe(false);
  expect(sameShape([1, height], [1, symbol('height')])).toBe(true);
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

  test('of a free size is a monomial or refused', () => {
    expect(windowDim(height, 3, 1, 2)).toEqual(height);
    expect(windowDim(height, 3, 2, 2)).toEqual({ scale: 0.5, symbols: ['height'] });
    expect(windowDim(height, 3, 2, 1)).toEqual({ scale: 0.5, symbols: ['height'] });
    expect(windowDim(height, 3, 1, 0)).toBeUndefined(); // height − 2
    expect(windowDim(height, 1, 1, 2)).toBeUndefined(); // height + 2
  });
});

test('symbols become the sizes that a caller has, and fractions of pixels are refused', () => {
  const shape = [symbol('batch_size'), 4, multiplyDims([height, 0.5]), width];
  expect(bindShape(shape, { batch_size: 2, height: 64, width: 96 })).toEqual([2, 4, 32, 96]);
  expect(() => bindShape(shape, { batch_size: 2, height: 63, width: 96 })).toThrow('height / 2 is 31.5');
  expect(() => bindShape(shape, { batch_size: 2, height: 64 })).toThrow(
    'width is NaN for {"batch_size":2,"height":64}',
  );
});

test('an axis outside a shape, and a free size where a number is needed, are errors that show the shape', () => {
  expect(dimAt([1, 2, 3], -1)).toBe(3);
  expect(() => dimAt([1, height], 2)).toThrow(new RangeError('axis 2 of [1, height]'));
  expect(fixedDimAt([1, height], 0)).toBe(1);
  expect(() => fixedDimAt([1, height], 1)).toThrow(new RangeError('axis 1 of [1, height] has no fixed size'));
  expect(isFixed([1, 2])).toBe(true);
  expect(isFixed([1, height])).toBe(false);
  expect(formatShape([])).toBe('[]');
});
