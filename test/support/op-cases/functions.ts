import { type Pairing, rotate } from '../../../src/graph/rotate.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { type Case, fill, given, lines, x } from './op-case.ts';

/** A case of a function that records several operations. */
interface FunctionCase extends Case {
  readonly compute: (operands: readonly Tensor[]) => Tensor;
}

/** Written functions, which must give the same in every format. */
export const functions: Readonly<Record<string, readonly FunctionCase[]>> = {
  rotate: [
    {
      with: 'halves, along the last axis',
      operands: [x(3, 4), given([2], [0.875, -0.5]), given([2], [0.25, 0.75])],
      compute: rotated(1, 'halves'),
      type: 'f32 [3, 4]',
      written: {
        onnx: lines(
          'x0/slice = Slice(x0, [0], [2], [1])',
          'x0/slice_2 = Slice(x0, [2], [4], [1])',
          'x0/mul = Mul(x0/slice, x1)',
          'x2/mul = Mul(x2, constant)',
          'x0/mul_2 = Mul(x0/slice_2, x2/mul)',
          'x0/add = Add(x0/mul, x0/mul_2)',
          'x0/mul_3 = Mul(x0/slice_2, x1)',
          'x0/mul_4 = Mul(x0/slice, x2)',
          'x0/add_2 = Add(x0/mul_3, x0/mul_4)',
          'y = Concat(x0/add, x0/add_2) axis=1',
        ),
        coreml: lines(
          'x0_slice = slice_by_index(begin=int32 [0, 0], end=int32 [3, 2], x=x0): fp32 [3, 2]',
          'x0_slice_2 = slice_by_index(begin=int32 [0, 2], end=int32 [3, 4], x=x0): fp32 [3, 2]',
          'x0_mul = mul(x=x0_slice, y=x1): fp32 [3, 2]',
          'x2_mul = mul(x=x2, y=fp32 -1): fp32 [2]',
          'x0_mul_2 = mul(x=x0_slice_2, y=x2_mul): fp32 [3, 2]',
          'x0_add = add(x=x0_mul, y=x0_mul_2): fp32 [3, 2]',
          'x0_mul_3 = mul(x=x0_slice_2, y=x1): fp32 [3, 2]',
          'x0_mul_4 = mul(x=x0_slice, y=x2): fp32 [3, 2]',
          'x0_add_2 = add(x=x0_mul_3, y=x0_mul_4): fp32 [3, 2]',
          'y = concat(axis=int32 1, interleave=false, values=(x0_add, x0_add_2)): fp32 [3, 4]',
        ),
        coreai: lines(
          '%0 = primitive.slice_v1(x0, [0, 0], [3, 2], [1, 1]): f32 [3, 2]',
          '%1 = primitive.slice_v1(x0, [0, 2], [3, 4], [1, 1]): f32 [3, 2]',
          '%2 = broadcasting_mul_v1(%0, x1): f32 [3, 2]',
          '%3 = broadcasting_mul_v1(x2, -1): f32 [2]',
          '%4 = broadcasting_mul_v1(%1, %3): f32 [3, 2]',
          '%5 = primitive.add_v1(%2, %4): f32 [3, 2]',
          '%6 = broadcasting_mul_v1(%1, x1): f32 [3, 2]',
          '%7 = broadcasting_mul_v1(%0, x2): f32 [3, 2]',
          '%8 = primitive.add_v1(%6, %7): f32 [3, 2]',
          'y = primitive.concat_v1(1, %5, %8): f32 [3, 4]',
        ),
      },
      reference: (x, cos, sin) =>
        fill([3, 4], (n, i) => {
          const other = x.at(n, (i + 2) % 4) * sin.at(i % 2);
          return x.at(n, i) * cos.at(i % 2) + (i < 2 ? -other : other);
        }),
    },
    {
      with: 'neighbours, along the channels of a head, each token by angles of its own',
      operands: [
        x(2, 1, 4, 3),
        given([2, 3], [1, 0.875, 0.5, 0.25, -0.5, -1]),
        given([2, 3], [0, 0.375, -0.75, 0.625, 0.5, -0.125]),
      ],
      compute: rotated(2, 'neighbours'),
      type: 'f32 [2, 1, 4, 3]',
      written: {
        onnx: lines(
          'x0/reshape = Reshape(x0, [2, 1, 2, 2, 3])',
          'x1/reshape = Reshape(x1, [2, 1, 3])',
          'x2/reshape = Reshape(x2, [2, 1, 3])',
          'x0/slice = Slice(x0/reshape, [0], [1], [3])',
          'x0/slice_2 = Slice(x0/reshape, [1], [2], [3])',
          'x0/mul = Mul(x0/slice, x1/reshape)',
          'x2/mul = Mul(x2/reshape, constant)',
          'x0/mul_2 = Mul(x0/slice_2, x2/mul)',
          'x0/add = Add(x0/mul, x0/mul_2)',
          'x0/mul_3 = Mul(x0/slice_2, x1/reshape)',
          'x0/mul_4 = Mul(x0/slice, x2/reshape)',
          'x0/add_2 = Add(x0/mul_3, x0/mul_4)',
          'x0/concat = Concat(x0/add, x0/add_2) axis=3',
          'y = Reshape(x0/concat, [2, 1, 4, 3])',
        ),
        coreml: lines(
          'x0_reshape = reshape(shape=int32 [2, 1, 2, 2, 3], x=x0): fp32 [2, 1, 2, 2, 3]',
          'x1_reshape = reshape(shape=int32 [2, 1, 3], x=x1): fp32 [2, 1, 3]',
          'x2_reshape = reshape(shape=int32 [2, 1, 3], x=x2): fp32 [2, 1, 3]',
          'x0_slice = slice_by_index(begin=int32 [0, 0, 0, 0, 0], end=int32 [2, 1, 2, 1, 3], x=x0_reshape): fp32 [2, 1, 2, 1, 3]',
          'x0_slice_2 = slice_by_index(begin=int32 [0, 0, 0, 1, 0], end=int32 [2, 1, 2, 2, 3], x=x0_reshape): fp32 [2, 1, 2, 1, 3]',
          'x0_mul = mul(x=x0_slice, y=x1_reshape): fp32 [2, 1, 2, 1, 3]',
          'x2_mul = mul(x=x2_reshape, y=fp32 -1): fp32 [2, 1, 3]',
          'x0_mul_2 = mul(x=x0_slice_2, y=x2_mul): fp32 [2, 1, 2, 1, 3]',
          'x0_add = add(x=x0_mul, y=x0_mul_2): fp32 [2, 1, 2, 1, 3]',
          'x0_mul_3 = mul(x=x0_slice_2, y=x1_reshape): fp32 [2, 1, 2, 1, 3]',
          'x0_mul_4 = mul(x=x0_slice, y=x2_reshape): fp32 [2, 1, 2, 1, 3]',
          'x0_add_2 = add(x=x0_mul_3, y=x0_mul_4): fp32 [2, 1, 2, 1, 3]',
          'x0_concat = concat(axis=int32 3, interleave=false, values=(x0_add, x0_add_2)): fp32 [2, 1, 2, 2, 3]',
          'y = reshape(shape=int32 [2, 1, 4, 3], x=x0_concat): fp32 [2, 1, 4, 3]',
        ),
        coreai: lines(
          '%0 = primitive.reshape_v2(x0, [2, 1, 2, 2, 3]): f32 [2, 1, 2, 2, 3]',
          '%1 = primitive.reshape_v2(x1, [2, 1, 3]): f32 [2, 1, 3]',
          '%2 = primitive.reshape_v2(x2, [2, 1, 3]): f32 [2, 1, 3]',
          '%3 = primitive.slice_v1(%0, [0, 0, 0, 0, 0], [2, 1, 2, 1, 3], [1, 1, 1, 1, 1]): f32 [2, 1, 2, 1, 3]',
          '%4 = primitive.slice_v1(%0, [0, 0, 0, 1, 0], [2, 1, 2, 2, 3], [1, 1, 1, 1, 1]): f32 [2, 1, 2, 1, 3]',
          '%5 = broadcasting_mul_v1(%3, %1): f32 [2, 1, 2, 1, 3]',
          '%6 = broadcasting_mul_v1(%2, -1): f32 [2, 1, 3]',
          '%7 = broadcasting_mul_v1(%4, %6): f32 [2, 1, 2, 1, 3]',
          '%8 = primitive.add_v1(%5, %7): f32 [2, 1, 2, 1, 3]',
          '%9 = broadcasting_mul_v1(%4, %1): f32 [2, 1, 2, 1, 3]',
          '%10 = broadcasting_mul_v1(%3, %2): f32 [2, 1, 2, 1, 3]',
          '%11 = primitive.add_v1(%9, %10): f32 [2, 1, 2, 1, 3]',
          '%12 = primitive.concat_v1(3, %8, %11): f32 [2, 1, 2, 2, 3]',
          'y = primitive.reshape_v2(%12, [2, 1, 4, 3]): f32 [2, 1, 4, 3]',
        ),
      },
      reference: (x, cos, sin) =>
        fill([2, 4, 3], (n, i, s) => {
          const other = x.at(n, 0, i ^ 1, s) * sin.at(i >> 1, s);
          return x.at(n, 0, i, s) * cos.at(i >> 1, s) + (i % 2 === 0 ? -other : other);
        }),
    },
  ],
};

function rotated(axis: number, pairing: Pairing): FunctionCase['compute'] {
  return ([x, cos, sin]) => {
    if (!x || !cos || !sin) throw new Error('an operand is missing');
    return rotate(x, { cos, sin }, axis, pairing);
  };
}
