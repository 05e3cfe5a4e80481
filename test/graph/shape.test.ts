import { expect, test } from 'vitest';
import { divideDim, symbol } from '../../src/graph/dim.ts';
import { bindShape, dimAt, fixedDimAt, formatShape, isFixed, sameShape } from '../../src/graph/shape.ts';

const height = symbol('height');

test('shapes are the same where every size is', () => {
  expect(sameShape([1, height], [1, height, 1])).toBe(false);
  expect(sameShape([1, height], [1, symbol('height')])).toBe(true);
  expect(sameShape([1, height], [1, 64])).toBe(false);
});

test('symbols become the sizes that a caller has', () => {
  const shape = [symbol('batch_size'), 4, divideDim(height, 2), symbol('width')];
  expect(bindShape(shape, { batch_size: 2, height: 64, width: 96 })).toEqual([2, 4, 32, 96]);
  expect(() => bindShape(shape, { batch_size: 2, height: 63, width: 96 })).toThrow('height / 2 is 31.5');
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
