import { describe, expect, test } from 'vitest';
import { buildOnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { addDims, multiplyDims, symbol } from '../../../src/graph/dim.ts';
import { reshape, slice } from '../../../src/graph/functions.ts';
import { GraphBuilder } from '../../../src/graph/graph.ts';
import type { Shape } from '../../../src/graph/shape.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { verifyGraph } from '../../../src/graph/verify.ts';
import { type Precision, withPrecision } from '../../../src/quantize/precision.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import { onnxText } from '../../support/onnx-text.ts';
import { everyOpCase, expectedOfCase, feedsOfCase, graphOfCase } from '../../support/op-cases.ts';
import { runOnnx } from '../../support/run-onnx.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = temporaryFolder();

/** Largest error as a part of the largest element. Operands are numbers that float16 holds, so only results are rounded. */
const tolerances: { readonly [P in Precision]: number } = {
  // A float32 is rounded by up to 2^-24 (6e-8), and sums of up to 18 terms are rounded in between. Measured: 8.3e-8 at most.
  float32: 2e-7,
  'float16-weights': 2e-7,
  // A float16 is rounded by up to 2^-11 (4.9e-4), twice where a result is rounded on its way. Measured: 3.7e-4 at most.
  float16: 2 ** -10,
};

describe.each(everyOpCase)('$name', (opCase) => {
  const graph = graphOfCase(opCase);

  test('is written as the operators and attributes that ONNX has for it', () => {
    expect(onnxText(buildOnnxModel(graph, {}).proto)).toBe(opCase.written.onnx);
  });

  test.each(['float32', 'float16', 'float16-weights'] as const)(
    'computes in %s what plain loops compute',
    async (precision) => {
      const rewritten = withPrecision(graph, precision);
      verifyGraph(rewritten);
      const model = buildOnnxModel(rewritten, {});
      const { y } = await runOnnx(model, inFolder(opCase.name, precision), feedsOfCase(opCase));
      const expected = expectedOfCase(opCase);
      const found = Array.from<number | bigint, number>(y?.data ?? [], Number);
      expect(found).toHaveLength(expected.length);
      const error = Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN))));
      expect(error / Math.max(...expected.map(Math.abs))).toBeLessThan(tolerances[precision]);
    },
  );
});

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
