import { expect, test } from 'vitest';
import { multiplyDims, symbol } from '../../src/graph/dim.ts';
import { add, concat, equal, reshape, scale, slice, transpose } from '../../src/graph/functions.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import { printGraph } from '../../src/graph/print.ts';
import { unreadWeight } from '../support/memory-weight.ts';

test('a graph reads as lines of what is computed from what, with every attribute and type', () => {
  const builder = new GraphBuilder();
  const sample = builder.input('sample', { dtype: 'f16', shape: [symbol('batch'), 4, symbol('height'), 8] });
  const ids = builder.input('ids', { dtype: 'i32', shape: [1, 3] });
  const kernel = builder.weight(unreadWeight('conv.weight', [2, 4, 3, 3]), {
    dtype: 'f16',
    shape: [2, 4, 3, 3],
  });
  const bias = builder.weight(unreadWeight('conv.bias', [2]), { dtype: 'f16', shape: [2] });
  const pads = { top: 0, left: 0, bottom: 1, right: 1 };
  const conv = builder.apply({ kind: 'conv2d', stride: 2, pads }, [sample, kernel, bias], 'conv');
  const tokens = reshape(conv, [symbol('batch'), 2, 1, multiplyDims([symbol('height'), 2])]);
  const table = builder.constant(Float32Array.of(1, 2), [1, 2, 1, 1], 'table', 'f16');
  const mixed = transpose(scale(add(tokens, table), 0.5), [0, 3, 2, 1]);
  const both = concat([slice(mixed, 3, 0, 1), mixed], 3);
  const found = equal(ids, builder.constant(Int32Array.of(49407), []));
  const graph = builder.finish([
    { name: 'noise', tensor: both },
    { name: 'found', tensor: found },
  ]);
  expect(printGraph(graph)).toMatchInlineSnapshot(`
    "input sample: f16 [batch, 4, height, 8]
    input ids: i32 [1, 3]
    conv = conv2d(sample, conv.weight f16 [2, 4, 3, 3], conv.bias f16 [2]) stride=2 pads=[0, 0, 1, 1]: f16 [batch, 2, height / 2, 4]
    conv/reshape = reshape(conv) shape=[batch, 2, 1, height * 2]: f16 [batch, 2, 1, height * 2]
    conv/add = add(conv/reshape, constant [1, 2, 1, 1]): f16 [batch, 2, 1, height * 2]
    conv/mul = mul(conv/add, 0.5): f16 [batch, 2, 1, height * 2]
    conv/transpose = transpose(conv/mul) perm=[0, 3, 2, 1]: f16 [batch, height * 2, 1, 2]
    conv/slice = slice(conv/transpose) axis=3 start=0 end=1: f16 [batch, height * 2, 1, 1]
    conv/concat = concat(conv/slice, conv/transpose) axis=3: f16 [batch, height * 2, 1, 3]
    ids/equal = equal(ids, 49407): bool [1, 3]
    return noise = conv/concat
    return found = ids/equal"
  `);
});
