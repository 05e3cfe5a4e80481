import { expect, test } from 'vitest';
import { symbol } from '../../src/graph/dim.ts';
import { add, reshape, silu } from '../../src/graph/functions.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import { peakElements } from '../../src/graph/peak-elements.ts';

test('a value takes memory until it is read last; what is reshaped is not copied', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', { dtype: 'f32', shape: [4, 5] });
  const one = silu(x); // x, one
  const two = silu(reshape(one, [20])); // x, one, two
  const three = silu(two); // x, two, three
  const y = add(reshape(three, [4, 5]), x); // x and three, one of which becomes y
  expect(peakElements(builder.finish([{ name: 'y', tensor: y }]))).toBe(60);
  expect(
    peakElements(
      builder.finish([
        { name: 'y', tensor: y },
        { name: 'one', tensor: one },
      ]),
    ),
  ).toBe(80);
});

test('a free size has no number', () => {
  const builder = new GraphBuilder();
  const y = silu(builder.input('x', { dtype: 'f32', shape: [symbol('batch_size'), 5] }));
  expect(() => peakElements(builder.finish([{ name: 'y', tensor: y }]))).toThrow('x has a free size');
});
