import { expect, test } from 'vitest';
import { add, addScalar, reshape, scale, silu } from '../../src/graph/functions.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import { unreadWeight } from '../support/memory-weight.ts';

const image = { dtype: 'f32', shape: [1, 4, 8, 8] } as const;

test('the same operation on the same inputs is recorded once', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', image);
  const time = builder.input('time', image);
  expect(silu(time)).toBe(silu(time)); // every resnet block of the UNet asks for it
  expect(scale(x, 0.5)).toBe(scale(x, 0.5));
  expect(silu(x)).not.toBe(silu(time));
  expect(scale(x, 0.5)).not.toBe(scale(x, 0.25));
  expect(reshape(x, [4, 64])).not.toBe(reshape(x, [64, 4]));
});

test('a constant is recorded once for the same numbers, dtype and shape', () => {
  const builder = new GraphBuilder();
  const one = builder.constant(Float32Array.of(1, 2), [2]);
  expect(builder.constant(Float32Array.of(1, 2), [2])).toBe(one);
  expect(builder.constant(Float32Array.of(1, 2), [1, 2])).not.toBe(one);
  expect(builder.constant(Float32Array.of(1, 2), [2], 'c', 'f16')).not.toBe(one);
  expect(builder.constant(Int32Array.of(1, 2), [2])).not.toBe(one);
});

test('a tensor is named after the module it follows, and every name is there once', () => {
  const builder = new GraphBuilder();
  const x = builder.input('conv_in', image);
  expect(silu(x).name).toBe('conv_in/silu');
  expect(silu(silu(x)).name).toBe('conv_in/silu_2');
  expect(
    add(builder.weight(unreadWeight('bias', [4, 1, 1]), { dtype: 'f32', shape: [4, 1, 1] }), x).name,
  ).toBe('conv_in/add');
  expect(builder.input('conv_in', image).name).toBe('conv_in_2');
});

test('a scalar has the dtype of what it meets', () => {
  const builder = new GraphBuilder();
  const ids = builder.input('ids', { dtype: 'i32', shape: [2] });
  expect(addScalar(ids, 1).dtype).toBe('i32');
});

test('a finished graph keeps every input and drops what no output needs', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', image);
  builder.input('unused', image);
  const y = silu(x);
  add(y, builder.weight(unreadWeight('w', [4, 8, 8]), { dtype: 'f32', shape: [4, 8, 8] }));
  const graph = builder.finish([{ name: 'y', tensor: y }]);
  expect(graph.tensors.map(({ name }) => name)).toEqual(['x', 'unused', 'x/silu']);
  expect(graph.inputs.map(({ name }) => name)).toEqual(['x', 'unused']);
});
