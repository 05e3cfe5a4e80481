import { describe, expect, test } from 'vitest';
import { buildOnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { addDims, multiplyDims, symbol } from '../../../src/graph/dim.ts';
import { reshape, slice } from '../../../src/graph/functions.ts';
import { GraphBuilder } from '../../../src/graph/graph.ts';
import { rotate } from '../../../src/graph/rotate.ts';
import type { Shape } from '../../../src/graph/shape.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import { onnxText } from '../../support/onnx-text.ts';

describe('a reshape of free sizes needs no arithmetic at run time', () => {
  const [batch, height, width] = [symbol('batch'), symbol('height'), symbol('width')];
  const pixels = multiplyDims([height, width]);

  test.each<[string, Shape, Shape, string]>([
    ['an image to tokens', [batch, 8, height, width], [batch, 8, 1, pixels], '[0, 8, 1, -1]'],
    ['heads split', [batch, 8, 1, pixels], [batch, 2, 4, pixels], '[0, 2, 4, 0]'],
    ['one size of its own', [height, 6], [2, 3, height], '[2, 3, -1]'],
  ])('%s', (_, from, to, target) => {
    expect(written(from, to)).toBe(`y = Reshape(x, ${target})`);
  });

  test('two sizes that the input does not have in place are more than a reshape can say', () => {
    expect(() => written([batch, 8, 1, pixels], [batch, 8, height, width])).toThrow('two free sizes');
  });

  function written(from: Shape, shape: Shape): string {
    return writtenFor(from, (x) => reshape(x, shape));
  }
});

test('any number of tokens is rotated, with reshapes that are known beforehand', () => {
  const [batch, tokens] = [symbol('batch'), addDims([multiplyDims([symbol('height'), symbol('width')]), 77])];
  const text = writtenFor([batch, 2, 8, tokens], (x, builder) => {
    const [cos, sin] = ['cos', 'sin'].map((name) =>
      builder.input(name, { dtype: 'f32', shape: [4, tokens] }),
    );
    if (!cos || !sin) throw new Error('an input is missing');
    return rotate(x, { cos, sin }, 2, 'neighbours');
  });
  expect(text.split('\n').filter((line) => line.includes('Reshape'))).toEqual([
    'x/reshape = Reshape(x, [0, 2, 4, 2, -1])',
    'cos/reshape = Reshape(cos, [4, 1, -1])',
    'sin/reshape = Reshape(sin, [4, 1, -1])',
    'y = Reshape(x/concat, [0, 2, 8, -1])',
  ]);
});

describe('parts of a free size are counted from the end that lies nearer', () => {
  const [batch, tokens] = [symbol('batch'), symbol('tokens')];

  test('what comes after a fixed start', () => {
    const joint = addDims([333, tokens]);
    expect(writtenFor([batch, 8, joint], (x) => slice(x, 2, 333, joint))).toBe(
      'y = Slice(x, [333], [2147483647], [2])',
    );
  });

  test('what comes before a fixed end, and that end', () => {
    const joint = addDims([tokens, 77]);
    expect(writtenFor([batch, 8, joint], (x) => slice(x, 2, 0, tokens))).toBe(
      'y = Slice(x, [0], [-77], [2])',
    );
    expect(writtenFor([batch, 8, joint], (x) => slice(x, 2, tokens, joint))).toBe(
      'y = Slice(x, [-77], [2147483647], [2])',
    );
  });
});

test('a linear layer over tokens keeps a free batch and a free number of tokens', () => {
  const shape = [symbol('batch'), symbol('tokens'), 4];
  const weight = memoryWeight('w', [3, 4], new Float32Array(12));
  const bias = memoryWeight('b', [3], new Float32Array(3));
  const text = writtenFor(shape, (x, builder) =>
    builder.apply(
      { kind: 'linear' },
      [
        x,
        builder.weight(weight, { dtype: 'f32', shape: [3, 4] }),
        builder.weight(bias, { dtype: 'f32', shape: [3] }),
      ],
      'y',
    ),
  );
  expect(text.split('\n')).toEqual([
    'y/weight = Transpose(w) perm=[1, 0]',
    'y/product = MatMul(x, y/weight)',
    'y = Add(y/product, b)',
  ]);
});

/** The nodes that give `y`, which is computed of an input `x` of this shape. */
function writtenFor(shape: Shape, compute: (x: Tensor, builder: GraphBuilder) => Tensor): string {
  const builder = new GraphBuilder();
  const y = compute(builder.input('x', { dtype: 'f32', shape }), builder);
  return onnxText(buildOnnxModel(builder.finish([{ name: 'y', tensor: y }]), {}).proto);
}
