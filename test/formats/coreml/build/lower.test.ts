import { describe, expect, test } from 'vitest';
import type { Block } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import {
  add,
  argmax,
  cast,
  concat,
  cos,
  einsum,
  equal,
  gatherNd,
  gelu,
  greaterScalar,
  matmul,
  mul,
  normalize,
  pad,
  reduceMax,
  relu,
  reshape,
  scale,
  sigmoid,
  silu,
  sin,
  slice,
  softmax,
  tanh,
  transpose,
  upsampleNearest,
} from '../../../../src/graph/functions.ts';
import type { Graph } from '../../../../src/graph/graph.ts';
import type { ComputedOp, OpKind } from '../../../../src/graph/op.ts';
import type { Tensor, TensorType } from '../../../../src/graph/tensor.ts';
import { blockOf, graphOf, unreadWeight, writtenForm } from '../written-form.ts';

/**
 * One row an operation: a graph, and what is written for it. Parameters and their defaults are those of coremltools'
 * operation registry: what has a default is written, what has none (the bias of a conv, the gamma of an instance_norm)
 * is left out.
 */
interface Row {
  readonly graph: Graph;
  readonly written: string;
  /** Where iOS 17 and 18 differ. */
  readonly ios17?: string;
}

const rows: { readonly [K in OpKind]: Row } = {
  input: {
    graph: unary(f16(2), (x) => x),
    written: 'y = identity(x=x): fp16 [2]',
  },
  weight: {
    graph: graphOf({ x: f16(4, 4) }, ({ x }, builder) =>
      add(x, builder.weight(unreadWeight('w', [16]), f16(4, 4))),
    ),
    written: 'y = add(x=x, y=fp16 [4, 4] in the file): fp16 [4, 4]',
  },
  constant: {
    graph: graphOf({ x: f16(3) }, ({ x }, builder) =>
      add(x, builder.constant(Float32Array.of(1, 0.1, -2), [3], 'table', 'f16')),
    ),
    written: 'y = add(x=x, y=fp16 [1, 0.0999755859375, -2]): fp16 [3]',
  },
  conv2d: {
    graph: layer(
      f16(1, 2, 8, 8),
      { kind: 'conv2d', stride: 2, pads: { top: 0, left: 1, bottom: 2, right: 3 } },
      [3, 2, 3, 3],
      [3],
    ),
    written:
      'y = conv(bias=fp16 [0, 0, 0], dilations=int32 [1, 1], groups=int32 1, pad=int32 [0, 2, 1, 3], ' +
      'pad_type="custom", strides=int32 [2, 2], weight=fp16 [3, 2, 3, 3] in the file, x=x): fp16 [1, 3, 4, 5]',
  },
  linear: {
    graph: layer(f16(1, 5, 4), { kind: 'linear' }, [16, 4]),
    written: 'y = linear(bias=fp16 [16] in the file, weight=fp16 [16, 4] in the file, x=x): fp16 [1, 5, 16]',
  },
  matmul: {
    graph: graphOf({ a: f16(1, 2, 8, 5), b: f16(1, 2, 8, 7) }, ({ a, b }) =>
      matmul(a, b, { transposeA: true }),
    ),
    written: 'y = matmul(transpose_x=true, transpose_y=false, x=a, y=b): fp16 [1, 2, 5, 7]',
  },
  einsum: {
    graph: graphOf({ k: f16(2, 77, 1, 8), q: f16(2, 8, 1, 16) }, ({ k, q }) =>
      einsum('bkhc,bchq->bkhq', k, q),
    ),
    written: 'y = einsum(equation="bkhc,bchq->bkhq", values=(k, q)): fp16 [2, 77, 1, 16]',
  },
  add: { graph: binary(add), written: 'y = add(x=a, y=b): fp16 [2, 4]' },
  mul: { graph: binary(mul), written: 'y = mul(x=a, y=b): fp16 [2, 4]' },
  equal: {
    graph: graphOf({ a: i32(1, 3) }, ({ a }) => cast(equal(a, a), 'i32')),
    written: 'a_equal = equal(x=a, y=a): bool [1, 3]\ny = cast(dtype="int32", x=a_equal): int32 [1, 3]',
  },
  greater: {
    graph: unary(f16(2, 3), (x) => cast(greaterScalar(x, 0), 'f16')),
    written:
      'x_greater = greater(x=x, y=fp16 0): bool [2, 3]\ny = cast(dtype="fp16", x=x_greater): fp16 [2, 3]',
  },
  relu: { graph: unary(f16(2), relu), written: 'y = relu(x=x): fp16 [2]' },
  silu: { graph: unary(f16(2), silu), written: 'y = silu(x=x): fp16 [2]' },
  sigmoid: { graph: unary(f16(2), sigmoid), written: 'y = sigmoid(x=x): fp16 [2]' },
  gelu: { graph: unary(f16(2), gelu), written: 'y = gelu(mode="EXACT", x=x): fp16 [2]' },
  tanh: { graph: unary(f16(2), tanh), written: 'y = tanh(x=x): fp16 [2]' },
  sin: { graph: unary(f16(2), sin), written: 'y = sin(x=x): fp16 [2]' },
  cos: { graph: unary(f16(2), cos), written: 'y = cos(x=x): fp16 [2]' },
  softmax: {
    graph: unary(f16(2, 3, 4), (x) => softmax(x, -1)),
    written: 'y = softmax(axis=int32 2, x=x): fp16 [2, 3, 4]',
  },
  group_norm: {
    graph: layer(f16(2, 12, 4, 5), { kind: 'group_norm', groups: 3, epsilon: 1e-5 }, [12], [12]),
    written: [
      'y_groups = reshape(shape=int32 [2, 3, 16, 5], x=x): fp16 [2, 3, 16, 5]',
      'y_normed = instance_norm(epsilon=fp16 0.000010013580322265625, x=y_groups): fp16 [2, 3, 16, 5]',
      'y_image = reshape(shape=int32 [2, 12, 4, 5], x=y_normed): fp16 [2, 12, 4, 5]',
      'y = batch_norm(beta=fp16 [12] in the file, epsilon=fp16 5.960464477539063e-8, gamma=fp16 [12] in the file, ' +
        'mean=fp16 [12] in the file, variance=fp16 [12] in the file, x=y_image): fp16 [2, 12, 4, 5]',
    ].join('\n'),
  },
  layer_norm: {
    graph: layer(f16(1, 12, 1, 5), { kind: 'layer_norm', axis: 1, epsilon: 1e-5 }, [12], [12]),
    written:
      'y = layer_norm(axes=int32 [1], beta=fp16 [12] in the file, epsilon=fp16 0.000010013580322265625, ' +
      'gamma=fp16 [12] in the file, x=x): fp16 [1, 12, 1, 5]',
  },
  normalize: {
    graph: unary({ dtype: 'f32', shape: [2, 5] }, (x) => normalize(x, 2 ** -40)),
    written: [
      'y_squares = mul(x=x, y=x): fp32 [2, 5]',
      'y_sum = linear(bias=fp32 [0], weight=fp32 [1, 5] of 1, 1, 1, 1, 1, x=y_squares): fp32 [2, 1]',
      'y_length = sqrt(x=y_sum): fp32 [2, 1]',
      'y_divisor = maximum(x=y_length, y=fp32 9.094947017729282e-13): fp32 [2, 1]',
      'y = real_div(x=x, y=y_divisor): fp32 [2, 5]',
    ].join('\n'),
  },
  reduce_max: {
    graph: unary(f16(2, 5), (x) => reduceMax(x, 1)),
    written: 'y = reduce_max(axes=int32 [1], keep_dims=true, x=x): fp16 [2, 1]',
  },
  reshape: {
    graph: unary(f16(2, 6), (x) => reshape(x, [2, 3, 2])),
    written: 'y = reshape(shape=int32 [2, 3, 2], x=x): fp16 [2, 3, 2]',
  },
  reshape_like: {
    graph: graphOf({ a: f16(2, 6), b: f16(2, 3, 2) }, ({ a, b }, builder) =>
      builder.apply({ kind: 'reshape_like' }, [a, b]),
    ),
    written: 'y = reshape(shape=int32 [2, 3, 2], x=a): fp16 [2, 3, 2]',
  },
  transpose: {
    graph: unary(f16(2, 3, 1, 4), (x) => transpose(x, [0, 3, 2, 1])),
    written: 'y = transpose(perm=int32 [0, 3, 2, 1], x=x): fp16 [2, 4, 1, 3]',
  },
  concat: {
    graph: graphOf({ a: f16(2, 3), b: f16(2, 4) }, ({ a, b }) => concat([a, b, a], 1)),
    written: 'y = concat(axis=int32 1, interleave=false, values=(a, b, a)): fp16 [2, 10]',
  },
  slice: {
    graph: unary(f16(2, 8, 1, 5), (x) => slice(x, 1, 2, 4)),
    written: 'y = slice_by_index(begin=int32 [0, 2, 0, 0], end=int32 [2, 4, 1, 5], x=x): fp16 [2, 2, 1, 5]',
  },
  pad: {
    graph: unary(f16(2, 3, 4), (x) => pad(x, 1, { before: 1, after: 2, value: -30 })),
    written:
      'y = pad(constant_val=fp16 -30, mode="constant", pad=int32 [0, 0, 1, 2, 0, 0], x=x): fp16 [2, 6, 4]',
  },
  cast: { graph: unary(f16(2), (x) => cast(x, 'f32')), written: 'y = cast(dtype="fp32", x=x): fp32 [2]' },
  upsample_nearest: {
    graph: unary(f16(1, 2, 3, 4), (x) => upsampleNearest(x, 2)),
    written:
      'y = upsample_nearest_neighbor(scale_factor_height=fp32 2, scale_factor_width=fp32 2, x=x): fp16 [1, 2, 6, 8]',
  },
  embedding: {
    graph: graphOf({ ids: i32(1, 5) }, ({ ids }, builder) =>
      builder.apply({ kind: 'embedding' }, [builder.weight(unreadWeight('table', [9, 4]), f16(9, 4)), ids]),
    ),
    written:
      'y = gather(axis=int32 0, batch_dims=int32 0, indices=ids, x=fp16 [9, 4] in the file): fp16 [1, 5, 4]',
    ios17:
      'y = gather(axis=int32 0, batch_dims=int32 0, indices=ids, validate_indices=false, x=fp16 [9, 4] in the file): fp16 [1, 5, 4]',
  },
  argmax: {
    graph: unary(i32(2, 5), argmax),
    written: 'y = reduce_argmax(axis=int32 1, keep_dims=true, x=x): int32 [2, 1]',
    ios17: 'y = reduce_argmax(axis=int32 1, keep_dims=true, output_dtype="int32", x=x): int32 [2, 1]',
  },
  gather_nd: {
    graph: graphOf({ x: f16(2, 5, 4), at: i32(2, 1) }, ({ x, at }) => gatherNd(x, at)),
    written: [
      'y_pairs = concat(axis=int32 1, interleave=false, values=(int32 [2, 1] of 0, 1, at)): int32 [2, 2]',
      'y = gather_nd(batch_dims=int32 0, indices=y_pairs, x=x): fp16 [2, 4]',
    ].join('\n'),
    ios17: [
      'y_pairs = concat(axis=int32 1, interleave=false, values=(int32 [2, 1] of 0, 1, at)): int32 [2, 2]',
      'y = gather_nd(batch_dims=int32 0, indices=y_pairs, validate_indices=false, x=x): fp16 [2, 4]',
    ].join('\n'),
  },
};

describe.each(Object.entries(rows))('%s', (_, { graph, written, ios17 = written }) => {
  test('is written with every parameter that Core ML asks for', () => {
    expect(writtenForm(graph, 'macOS13')).toBe(written);
    expect(writtenForm(graph, 'macOS14')).toBe(ios17);
    expect(writtenForm(graph, 'macOS15')).toBe(ios17);
  });
});

test('a convolution without padding says so, and leaves out the bias it has not', () => {
  const pads = { top: 0, left: 0, bottom: 0, right: 0 };
  const graph = layer(f16(1, 4, 1, 5), { kind: 'conv2d', stride: 1, pads }, [4, 4, 1, 1]);
  expect(writtenForm(graph)).toBe(
    'y = conv(dilations=int32 [1, 1], groups=int32 1, pad=int32 [0, 0, 0, 0], pad_type="valid", ' +
      'strides=int32 [1, 1], weight=fp16 [4, 4, 1, 1] in the file, x=x): fp16 [1, 4, 1, 5]',
  );
});

test('in float32, epsilons and factors are float32', () => {
  const x: TensorType = { dtype: 'f32', shape: [1, 12, 1, 5] };
  const normed = layer(x, { kind: 'layer_norm', axis: 1, epsilon: 1e-5 }, [12], [12]);
  expect(writtenForm(normed)).toContain('epsilon=fp32 0.000009999999747378752');
  expect(writtenForm(unary(x, (h) => scale(h, 0.3)))).toBe(
    'y = mul(x=x, y=fp32 0.30000001192092896): fp32 [1, 12, 1, 5]',
  );
});

test('an epsilon that float16 cannot hold becomes the nearest one it can: a subnormal number, not 0', () => {
  const graph = layer(f16(1, 12, 4, 5), { kind: 'group_norm', groups: 3, epsilon: 1e-6 }, [12], [12]);
  expect(writtenForm(graph)).toContain('epsilon=fp16 0.0000010132789611816406');
});

function f16(...shape: number[]): TensorType {
  return { dtype: 'f16', shape };
}

function i32(...shape: number[]): TensorType {
  return { dtype: 'i32', shape };
}

function unary(x: TensorType, compute: (x: Tensor) => Tensor): Graph {
  return graphOf({ x }, (inputs) => compute(inputs.x));
}

function binary(compute: (a: Tensor, b: Tensor) => Tensor): Graph {
  return graphOf({ a: f16(2, 4), b: f16(2, 4) }, ({ a, b }) => compute(a, b));
}

/** A layer that reads x and weights of these shapes, in x's dtype. */
function layer(type: TensorType, op: ComputedOp, ...shapes: readonly number[][]): Graph {
  return graphOf({ x: type }, ({ x }, builder) => {
    const weights = shapes.map((shape, i) =>
      builder.weight(unreadWeight(`w${i}`, shape), { dtype: type.dtype, shape }),
    );
    return builder.apply(op, [x, ...weights], 'layer');
  });
}

test('the operations of a group_norm compute a group normalisation', () => {
  const shape = [2, 6, 4, 5];
  const [gamma, beta] = [Float32Array.of(1, -2, 3, 0.5, 0, 7), Float32Array.of(0, 1, -1, 4, 5, 0.25)];
  const graph = graphOf({ x: { dtype: 'f32', shape } }, ({ x }, builder) =>
    builder.apply({ kind: 'group_norm', groups: 3, epsilon: 1e-5 }, [
      x,
      builder.constant(gamma, [6]),
      builder.constant(beta, [6]),
    ]),
  );
  const image = Array.from({ length: 240 }, (_, i) => Math.sin(i * i) + i / 50);

  // The definition (Wu and He 2018, eq. 1 to 6): over all elements of a group's two channels of 4 × 5.
  const expected = image.map((value, i) => {
    const group = Math.floor(i / 40) * 40;
    const members = image.slice(group, group + 40);
    const mean = members.reduce((sum, each) => sum + each, 0) / 40;
    const variance = members.reduce((sum, each) => sum + (each - mean) ** 2, 0) / 40;
    const channel = Math.floor(i / 20) % 6;
    return ((value - mean) / Math.sqrt(variance + 1e-5)) * (gamma[channel] ?? 0) + (beta[channel] ?? 0);
  });
  const result = runNorms(blockOf(graph), image);
  // float32 constants: measured 2e-7
  for (const [i, value] of result.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 6);
});

/** Runs a block of reshapes and norms on one input, as MIL defines them. */
function runNorms({ operations }: Block, input: readonly number[]): readonly number[] {
  const constants = new Map<string, readonly number[]>();
  let x = input;
  for (const { type, inputs, outputs, attributes } of operations) {
    const [output] = outputs;
    const sizes = output?.type?.tensorType?.dimensions.map(({ constant }) => constant?.size ?? 0) ?? [];
    const [, channels = 0, height = 0, width = 0] = sizes;
    const parameter = (key: string): readonly number[] =>
      constants.get(inputs[key]?.arguments[0]?.name ?? '') ?? [];
    const [epsilon = 0] = parameter('epsilon');
    const normalise = (value: number, mean: number, variance: number): number =>
      (value - mean) / Math.sqrt(variance + epsilon);
    if (type === 'const') {
      const tensor = attributes.val?.immediateValue?.tensor;
      constants.set(output?.name ?? '', tensor?.floats?.values ?? tensor?.ints?.values ?? []);
    } else if (type === 'reshape') {
      expect(parameter('shape')).toEqual(sizes);
    } else if (type === 'instance_norm') {
      const area = height * width;
      x = x.map((value, i) => {
        const plane = x.slice(Math.floor(i / area) * area, Math.floor(i / area + 1) * area);
        const mean = plane.reduce((sum, each) => sum + each, 0) / area;
        return normalise(value, mean, plane.reduce((sum, each) => sum + (each - mean) ** 2, 0) / area);
      });
    } else {
      expect(type).toBe('batch_norm');
      const of = (key: string, i: number): number =>
        parameter(key)[Math.floor(i / (height * width)) % channels] ?? Number.NaN;
      x = x.map(
        (value, i) => normalise(value, of('mean', i), of('variance', i)) * of('gamma', i) + of('beta', i),
      );
    }
  }
  return x;
}
