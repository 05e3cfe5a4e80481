import {
  constant,
  fill,
  given,
  lines,
  normalised,
  type Rows,
  rootMeanSquare,
  w,
  windowSum,
  x,
} from './op-case.ts';

type Norm = 'softmax' | 'group_norm' | 'layer_norm' | 'rms_norm' | 'normalize' | 'reduce_max';

/** Operations that look along an axis. */
export const norms: Rows<Norm> = {
  softmax: [
    {
      attributes: { axis: 1 },
      operands: [x(2, 3, 4)],
      type: 'f32 [2, 3, 4]',
      written: {
        onnx: 'y = Softmax(x0) axis=1',
        coreml: 'y = softmax(axis=int32 1, x=x0): fp32 [2, 3, 4]',
        coreai: 'y = softmax_v1(x0, 1): f32 [2, 3, 4]',
      },
      reference: (x) =>
        fill(
          [2, 3, 4],
          (i, j, k) => Math.exp(x.at(i, j, k)) / windowSum([3], (each) => Math.exp(x.at(i, each, k))),
        ),
    },
    {
      with: 'scores so large that only their differences can be taken to a power',
      attributes: { axis: 0 },
      operands: [given([3], [1000, 999, -1000])],
      type: 'f32 [3]',
      written: {
        onnx: 'y = Softmax(x0) axis=0',
        coreml: 'y = softmax(axis=int32 0, x=x0): fp32 [3]',
        coreai: 'y = softmax_v1(x0, 0): f32 [3]',
      },
      reference: () => [1 / (1 + Math.exp(-1)), Math.exp(-1) / (1 + Math.exp(-1)), 0],
    },
  ],
  group_norm: [
    {
      with: 'an epsilon that shows',
      attributes: { groups: 3, epsilon: 0.25 },
      operands: [x(2, 6, 2, 3), w(6), w(6)],
      type: 'f32 [2, 6, 2, 3]',
      written: {
        onnx: 'y = GroupNormalization(x0, w1, w2) epsilon=0.25 num_groups=3',
        coreml: lines(
          'y_groups = reshape(shape=int32 [2, 3, 4, 3], x=x0): fp32 [2, 3, 4, 3]',
          'y_normed = instance_norm(epsilon=fp32 0.25, x=y_groups): fp32 [2, 3, 4, 3]',
          'y_image = reshape(shape=int32 [2, 6, 2, 3], x=y_normed): fp32 [2, 6, 2, 3]',
          'y = batch_norm(beta=fp32 [6] in the program, epsilon=fp32 5.960464477539063e-8, gamma=fp32 [6] in the program, mean=fp32 [0, 0, 0, 0, 0, 0], variance=fp32 [1, 1, 1, 1, 1, 1], x=y_image): fp32 [2, 6, 2, 3]',
        ),
        coreai:
          'y = group_norm eps=0.25 num_channels=6 num_groups=3 version=1 (x0, w1 [6], w2 [6]): f32 [2, 6, 2, 3]',
      },
      reference: (x, w, b) =>
        fill([2, 6, 2, 3], (n, c, i, j) => {
          const first = c - (c % 2);
          const group = fill([2, 2, 3], (each, y, z) => x.at(n, first + each, y, z));
          return normalised(x.at(n, c, i, j), group, 0.25) * w.at(c) + b.at(c);
        }),
    },
  ],
  layer_norm: [
    {
      with: 'the last axis',
      attributes: { axis: -1, epsilon: 0.25 },
      operands: [x(2, 3, 5), w(5), w(5)],
      type: 'f32 [2, 3, 5]',
      written: {
        onnx: 'y = LayerNormalization(x0, w1, w2) axis=-1 epsilon=0.25',
        coreml:
          'y = layer_norm(axes=int32 [2], beta=fp32 [5] in the program, epsilon=fp32 0.25, gamma=fp32 [5] in the program, x=x0): fp32 [2, 3, 5]',
        coreai: 'y = layer_norm axes=[2] eps=0.25 version=1 (x0, w1 [5], w2 [5]): f32 [2, 3, 5]',
      },
      reference: (x, w, b) =>
        fill([2, 3, 5], (n, s, c) => {
          const row = fill([5], (each) => x.at(n, s, each));
          return normalised(x.at(n, s, c), row, 0.25) * w.at(c) + b.at(c);
        }),
    },
    {
      with: 'the channels of tokens laid out as an image',
      attributes: { axis: 1, epsilon: 0.25 },
      operands: [x(2, 5, 1, 3), w(5), w(5)],
      type: 'f32 [2, 5, 1, 3]',
      written: {
        onnx: lines(
          'y/rows = Transpose(x0) perm=[0, 2, 3, 1]',
          'y/normed = LayerNormalization(y/rows, w1, w2) axis=-1 epsilon=0.25',
          'y = Transpose(y/normed) perm=[0, 3, 1, 2]',
        ),
        coreml:
          'y = layer_norm(axes=int32 [1], beta=fp32 [5] in the program, epsilon=fp32 0.25, gamma=fp32 [5] in the program, x=x0): fp32 [2, 5, 1, 3]',
        coreai: 'y = layer_norm axes=[1] eps=0.25 version=1 (x0, w1 [5], w2 [5]): f32 [2, 5, 1, 3]',
      },
      reference: (x, w, b) =>
        fill([2, 5, 3], (n, c, s) => {
          const row = fill([5], (each) => x.at(n, each, 0, s));
          return normalised(x.at(n, c, 0, s), row, 0.25) * w.at(c) + b.at(c);
        }),
    },
  ],
  rms_norm: [
    {
      with: 'the last axis',
      attributes: { axis: -1, epsilon: 0.25 },
      operands: [x(2, 3, 5)],
      type: 'f32 [2, 3, 5]',
      written: {
        onnx: lines(
          'y/squares = Pow(x0, [2])',
          'y/mean = ReduceMean(y/squares, [-1]) keepdims=1',
          'y/shifted = Add(y/mean, [0.25])',
          'y/root = Sqrt(y/shifted)',
          'y = Div(x0, y/root)',
        ),
        coreml: lines(
          'y_negative = mul(x=x0, y=fp32 -1): fp32 [2, 3, 5]',
          'y_mirrored = concat(axis=int32 2, interleave=false, values=(x0, y_negative)): fp32 [2, 3, 10]',
          'y_normed = layer_norm(axes=int32 [2], epsilon=fp32 0.25, x=y_mirrored): fp32 [2, 3, 10]',
          'y = slice_by_index(begin=int32 [0, 0, 0], end=int32 [2, 3, 5], x=y_normed): fp32 [2, 3, 5]',
        ),
        coreai: lines(
          '%0 = primitive.mul_v1(x0, x0): f32 [2, 3, 5]',
          '%1 = reduce_mean_v1(%0, [2]): f32 [2, 3, 1]',
          '%2 = broadcasting_add_v1(%1, 0.25): f32 [2, 3, 1]',
          '%3 = primitive.rsqrt_v1(%2): f32 [2, 3, 1]',
          'y = broadcasting_mul_v1(x0, %3): f32 [2, 3, 5]',
        ),
      },
      reference: (x) =>
        fill([2, 3, 5], (n, s, c) => {
          const row = fill([5], (each) => x.at(n, s, each));
          return x.at(n, s, c) / rootMeanSquare(row, 0.25);
        }),
    },
    {
      with: 'the channels of tokens laid out as an image',
      attributes: { axis: 1, epsilon: 0.25 },
      operands: [x(2, 5, 1, 3)],
      type: 'f32 [2, 5, 1, 3]',
      written: {
        onnx: lines(
          'y/squares = Pow(x0, [2])',
          'y/mean = ReduceMean(y/squares, [1]) keepdims=1',
          'y/shifted = Add(y/mean, [0.25])',
          'y/root = Sqrt(y/shifted)',
          'y = Div(x0, y/root)',
        ),
        coreml: lines(
          'y_negative = mul(x=x0, y=fp32 -1): fp32 [2, 5, 1, 3]',
          'y_mirrored = concat(axis=int32 1, interleave=false, values=(x0, y_negative)): fp32 [2, 10, 1, 3]',
          'y_normed = layer_norm(axes=int32 [1], epsilon=fp32 0.25, x=y_mirrored): fp32 [2, 10, 1, 3]',
          'y = slice_by_index(begin=int32 [0, 0, 0, 0], end=int32 [2, 5, 1, 3], x=y_normed): fp32 [2, 5, 1, 3]',
        ),
        coreai: lines(
          '%0 = primitive.mul_v1(x0, x0): f32 [2, 5, 1, 3]',
          '%1 = reduce_mean_v1(%0, [1]): f32 [2, 1, 1, 3]',
          '%2 = broadcasting_add_v1(%1, 0.25): f32 [2, 1, 1, 3]',
          '%3 = primitive.rsqrt_v1(%2): f32 [2, 1, 1, 3]',
          'y = broadcasting_mul_v1(x0, %3): f32 [2, 5, 1, 3]',
        ),
      },
      reference: (x) =>
        fill([2, 5, 3], (n, c, s) => {
          const row = fill([5], (each) => x.at(n, each, 0, s));
          return x.at(n, c, 0, s) / rootMeanSquare(row, 0.25);
        }),
    },
    {
      with: 'a vector whose squares float16 could not hold, and one of zeros',
      attributes: { axis: 1, epsilon: 2 ** -20 },
      operands: [given([2, 2], [40960, 30720, 0, 0])],
      type: 'f32 [2, 2]',
      written: {
        onnx: lines(
          'y/squares = Pow(x0, [2])',
          'y/mean = ReduceMean(y/squares, [1]) keepdims=1',
          'y/shifted = Add(y/mean, [9.5367431640625e-7])',
          'y/root = Sqrt(y/shifted)',
          'y = Div(x0, y/root)',
        ),
        coreml: lines(
          'y_negative = mul(x=x0, y=fp32 -1): fp32 [2, 2]',
          'y_mirrored = concat(axis=int32 1, interleave=false, values=(x0, y_negative)): fp32 [2, 4]',
          'y_normed = layer_norm(axes=int32 [1], epsilon=fp32 9.5367431640625e-7, x=y_mirrored): fp32 [2, 4]',
          'y = slice_by_index(begin=int32 [0, 0], end=int32 [2, 2], x=y_normed): fp32 [2, 2]',
        ),
        coreai: lines(
          '%0 = primitive.mul_v1(x0, x0): f32 [2, 2]',
          '%1 = reduce_mean_v1(%0, [1]): f32 [2, 1]',
          '%2 = broadcasting_add_v1(%1, 9.5367431640625e-7): f32 [2, 1]',
          '%3 = primitive.rsqrt_v1(%2): f32 [2, 1]',
          'y = broadcasting_mul_v1(x0, %3): f32 [2, 2]',
        ),
      },
      reference: () => [0.8 * Math.SQRT2, 0.6 * Math.SQRT2, 0, 0],
    },
  ],
  normalize: [
    {
      attributes: {},
      operands: [x(2, 5), constant([], [1e-12])],
      type: 'f32 [2, 5]',
      written: {
        onnx: lines(
          'y/length = ReduceL2(x0, [-1]) keepdims=1',
          'y/divisor = Max(y/length, c1)',
          'y = Div(x0, y/divisor)',
        ),
        coreml: lines(
          'y_squares = mul(x=x0, y=x0): fp32 [2, 5]',
          'y_sum = linear(bias=fp32 [0], weight=fp32 [1, 5] of 1, 1, 1, 1, 1, x=y_squares): fp32 [2, 1]',
          'y_length = sqrt(x=y_sum): fp32 [2, 1]',
          'y_divisor = maximum(x=y_length, y=fp32 9.999999960041972e-13): fp32 [2, 1]',
          'y = real_div(x=x0, y=y_divisor): fp32 [2, 5]',
        ),
        coreai: lines(
          '%0 = primitive.mul_v1(x0, x0): f32 [2, 5]',
          '%1 = reduce_sum_v1(%0, [1]): f32 [2, 1]',
          '%2 = primitive.sqrt_v1(%1): f32 [2, 1]',
          '%3 = broadcasting_maximum_v1(%2, 9.999999960041972e-13): f32 [2, 1]',
          'y = broadcasting_divide_v1(x0, %3): f32 [2, 5]',
        ),
      },
      reference: (x) =>
        fill([2, 5], (i, j) => x.at(i, j) / Math.sqrt(windowSum([5], (each) => x.at(i, each) ** 2))),
    },
    {
      with: 'a vector whose squares float16 could not hold, one of zeros and one shorter than epsilon',
      attributes: {},
      operands: [given([3, 2], [40960, 30720, 0, 0, 0.125, 0]), constant([], [0.25])],
      type: 'f32 [3, 2]',
      written: {
        onnx: lines(
          'y/length = ReduceL2(x0, [-1]) keepdims=1',
          'y/divisor = Max(y/length, c1)',
          'y = Div(x0, y/divisor)',
        ),
        coreml: lines(
          'y_squares = mul(x=x0, y=x0): fp32 [3, 2]',
          'y_sum = linear(bias=fp32 [0], weight=fp32 [1, 2] of 1, 1, x=y_squares): fp32 [3, 1]',
          'y_length = sqrt(x=y_sum): fp32 [3, 1]',
          'y_divisor = maximum(x=y_length, y=fp32 0.25): fp32 [3, 1]',
          'y = real_div(x=x0, y=y_divisor): fp32 [3, 2]',
        ),
        coreai: lines(
          '%0 = primitive.mul_v1(x0, x0): f32 [3, 2]',
          '%1 = reduce_sum_v1(%0, [1]): f32 [3, 1]',
          '%2 = primitive.sqrt_v1(%1): f32 [3, 1]',
          '%3 = broadcasting_maximum_v1(%2, 0.25): f32 [3, 1]',
          'y = broadcasting_divide_v1(x0, %3): f32 [3, 2]',
        ),
      },
      reference: () => [0.8, 0.6, 0, 0, 0.5, 0],
    },
  ],
  reduce_max: [
    {
      attributes: { axis: 1 },
      operands: [x(2, 3, 4)],
      type: 'f32 [2, 1, 4]',
      written: {
        onnx: 'y = ReduceMax(x0, [1]) keepdims=1',
        coreml: 'y = reduce_max(axes=int32 [1], keep_dims=true, x=x0): fp32 [2, 1, 4]',
        coreai: 'y = reduce_max_v1(x0, [1]): f32 [2, 1, 4]',
      },
      reference: (x) => fill([2, 4], (i, k) => Math.max(x.at(i, 0, k), x.at(i, 1, k), x.at(i, 2, k))),
    },
  ],
};
