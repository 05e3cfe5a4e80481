import { expect, test } from 'vitest';
import { multiplyDims, symbol } from '../../src/graph/dim.ts';
import { cast, concat, reshapeLike, split } from '../../src/graph/functions.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import { rotate } from '../../src/graph/rotate.ts';
import { formatShape, type Shape } from '../../src/graph/shape.ts';
import type { Tensor } from '../../src/graph/tensor.ts';

const [batch, height, width] = [symbol('batch'), symbol('height'), symbol('width')];
const pixels = multiplyDims([height, width]);

test('tokens go back to an image statically, unless height and width are both free', () => {
  const kindOf = (tokens: Shape, image: Shape) => reshapeLike(input(tokens), input(image)).op.kind;
  expect(kindOf([2, 4, 1, 64], [2, 4, 8, 8])).toBe('reshape');
  expect(kindOf([batch, 4, 1, 64], [batch, 4, 8, 8])).toBe('reshape');
  expect(kindOf([batch, 4, 1, multiplyDims([height, 8])], [batch, 4, height, 8])).toBe('reshape');
  expect(kindOf([batch, 4, 1, pixels], [batch, 4, height, width])).toBe('reshape_like');
});

test('to concatenate one tensor, or to cast it to its own dtype, takes no operation', () => {
  const x = input([2]);
  expect(concat([x], 0)).toBe(x);
  expect(cast(x, 'f32')).toBe(x);
  expect(() => concat([], 0)).toThrow('nothing to concatenate');
});

test('what was concatenated is split into the same parts, all of it or nothing', () => {
  const joint = concat([input([batch, 77, 8]), input([batch, pixels, 8])], 1);
  const [text, picture] = split(joint, 1, [77, pixels]);
  expect(formatShape(text.shape)).toBe('[batch, 77, 8]');
  expect(formatShape(picture.shape)).toBe('[batch, height * width, 8]');
  expect(() => split(joint, 1, [77, height])).toThrow(
    new RangeError('height + 77 is not all of axis 1 of [batch, height * width + 77, 8]'),
  );
});

test('an odd number of elements cannot be rotated in pairs', () => {
  const turns = { cos: input([2]), sin: input([2]) };
  expect(() => rotate(input([2, 5]), turns, 1, 'halves')).toThrow(new RangeError('5 is not a multiple of 2'));
});

const builder = new GraphBuilder();

function input(shape: Shape): Tensor {
  return builder.input('x', { dtype: 'f32', shape });
}
