import { expect, test } from 'vitest';
import { add, cast, greaterScalar, scale, upsampleNearest } from '../../../../src/graph/functions.ts';
import type { Graph } from '../../../../src/graph/graph.ts';
import type { ComputedOp } from '../../../../src/graph/op.ts';
import type { Tensor, TensorType } from '../../../../src/graph/tensor.ts';
import { graphOf, unreadWeight, writtenForm } from '../written-form.ts';

// How each operation is written, and that it computes the right numbers, is in test/formats/operations.test.ts.

test('in float16, numbers beside x are float16: constants, factors, epsilons', () => {
  const table = graphOf({ x: f16(3) }, ({ x }, builder) =>
    add(x, builder.constant(Float32Array.of(1, 0.1, -2), [3], 'table', 'f16')),
  );
  expect(writtenForm(table)).toBe('y = add(x=x, y=fp16 [1, 0.0999755859375, -2]): fp16 [3]');
  expect(writtenForm(unary(f16(2), (x) => scale(x, 0.375)))).toBe('y = mul(x=x, y=fp16 0.375): fp16 [2]');
  expect(writtenForm(unary(f16(2, 3), (x) => cast(greaterScalar(x, 0), 'f16')))).toBe(
    'x_greater = greater(x=x, y=fp16 0): bool [2, 3]\ny = cast(dtype="fp16", x=x_greater): fp16 [2, 3]',
  );
  expect(writtenForm(norm('layer_norm'))).toContain('epsilon=fp16 0.000010013580322265625');
});

test('scale factors are float32 beside float16, as Core ML asks', () => {
  expect(writtenForm(unary(f16(1, 2, 3, 4), (x) => upsampleNearest(x, 2)))).toBe(
    'y = upsample_nearest_neighbor(scale_factor_height=fp32 2, scale_factor_width=fp32 2, x=x): fp16 [1, 2, 6, 8]',
  );
});

test('an epsilon that float16 cannot hold becomes the nearest one it can: a subnormal number, not 0', () => {
  expect(writtenForm(norm('group_norm', 1e-6))).toContain('epsilon=fp16 0.0000010132789611816406');
});

function f16(...shape: number[]): TensorType {
  return { dtype: 'f16', shape };
}

function unary(x: TensorType, compute: (x: Tensor) => Tensor): Graph {
  return graphOf({ x }, (inputs) => compute(inputs.x));
}

/** A normalisation of x [1,12,4,5] in float16. */
function norm(kind: 'layer_norm' | 'group_norm', epsilon = 1e-5): Graph {
  const op: ComputedOp = kind === 'layer_norm' ? { kind, axis: 1, epsilon } : { kind, groups: 3, epsilon };
  return graphOf({ x: f16(1, 12, 4, 5) }, ({ x }, builder) => {
    const [weight, bias] = ['weight', 'bias'].map((name) =>
      builder.weight(unreadWeight(name, [12]), f16(12)),
    );
    if (!weight || !bias) throw new Error('a weight is missing');
    return builder.apply(op, [x, weight, bias], 'norm');
  });
}
