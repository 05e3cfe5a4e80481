import { expect, test } from 'vitest';
import { buildOnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { GraphBuilder } from '../../../src/graph/graph.ts';
import { onnxText } from '../../support/onnx-text.ts';

// How each operation is written, and that it computes the right numbers, is in test/formats/operations.test.ts.

test('in float16, rms_norm takes its squares in float32: those of elements above 255 have no float16', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', { dtype: 'f16', shape: [2, 8] });
  const y = builder.apply({ kind: 'rms_norm', axis: -1, epsilon: 1e-6 }, [x], 'y');
  const { proto } = buildOnnxModel(builder.finish([{ name: 'y', tensor: y }]), {});
  expect(onnxText(proto).split('\n')).toEqual([
    'y/float32 = Cast(x) to=1',
    'y/squares = Pow(y/float32, [2])',
    'y/mean = ReduceMean(y/squares, [-1]) keepdims=1',
    'y/shifted = Add(y/mean, [0.000001])',
    'y/root = Sqrt(y/shifted)',
    'y/normed = Div(y/float32, y/root)',
    'y = Cast(y/normed) to=10',
  ]);
});
