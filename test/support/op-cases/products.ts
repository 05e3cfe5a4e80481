import { fill, lines, type Rows, w, windowSum, x } from './op-case.ts';

/** Products of matrices and convolutions. */
export const products: Rows<'conv2d' | 'linear' | 'matmul' | 'einsum'> = {
  conv2d: [
    {
      attributes: { stride: 1, pads: { top: 1, left: 1, bottom: 1, right: 1 } },
      operands: [x(2, 2, 4, 5), w(3, 2, 3, 3), w(3)],
      type: 'f32 [2, 3, 4, 5]',
      written: {
        onnx: 'y = Conv(x0, w1, w2) kernel_shape=[3, 3] pads=[1, 1, 1, 1] strides=[1, 1]',
        coreml:
          'y = conv(bias=fp32 [3] in the program, dilations=int32 [1, 1], groups=int32 1, pad=int32 [1, 1, 1, 1], pad_type="custom", strides=int32 [1, 1], weight=fp32 [3, 2, 3, 3] in the file, x=x0): fp32 [2, 3, 4, 5]',
        coreai: lines(
          '%0 = primitive.pad_v1 padding 1(x0, [0, 0, 0, 0, 1, 1, 1, 1], 0): f32 [2, 2, 6, 7]',
          '%1 = primitive.conv2d_v1(%0, w1 [3, 2, 3, 3], [1, 1], [1, 1], 1): f32 [2, 3, 4, 5]',
          'y = broadcasting_add_v1(%1, w2 [1, 3, 1, 1]): f32 [2, 3, 4, 5]',
        ),
      },
      reference: (x, w, b) =>
        fill(
          [2, 3, 4, 5],
          (n, o, y, z) =>
            b.at(o) + windowSum([2, 3, 3], (c, i, j) => w.at(o, c, i, j) * x.at(n, c, y + i - 1, z + j - 1)),
        ),
    },
    {
      with: 'stride 2, other padding on each side and no bias',
      attributes: { stride: 2, pads: { top: 0, left: 1, bottom: 2, right: 3 } },
      operands: [x(1, 2, 5, 4), w(3, 2, 3, 3)],
      type: 'f32 [1, 3, 3, 3]',
      written: {
        onnx: 'y = Conv(x0, w1) kernel_shape=[3, 3] pads=[0, 1, 2, 3] strides=[2, 2]',
        coreml:
          'y = conv(dilations=int32 [1, 1], groups=int32 1, pad=int32 [0, 2, 1, 3], pad_type="custom", strides=int32 [2, 2], weight=fp32 [3, 2, 3, 3] in the file, x=x0): fp32 [1, 3, 3, 3]',
        coreai: lines(
          '%0 = primitive.pad_v1 padding 1(x0, [0, 0, 0, 0, 0, 2, 1, 3], 0): f32 [1, 2, 7, 8]',
          'y = primitive.conv2d_v1(%0, w1 [3, 2, 3, 3], [2, 2], [1, 1], 1): f32 [1, 3, 3, 3]',
        ),
      },
      reference: (x, w) =>
        fill([1, 3, 3, 3], (n, o, y, z) =>
          windowSum([2, 3, 3], (c, i, j) => w.at(o, c, i, j) * x.at(n, c, 2 * y + i, 2 * z + j - 1)),
        ),
    },
    {
      with: 'a kernel of one pixel and no padding',
      attributes: { stride: 1, pads: { top: 0, left: 0, bottom: 0, right: 0 } },
      operands: [x(2, 4, 1, 5), w(3, 4, 1, 1)],
      type: 'f32 [2, 3, 1, 5]',
      written: {
        onnx: 'y = Conv(x0, w1) kernel_shape=[1, 1] pads=[0, 0, 0, 0] strides=[1, 1]',
        coreml:
          'y = conv(dilations=int32 [1, 1], groups=int32 1, pad=int32 [0, 0, 0, 0], pad_type="valid", strides=int32 [1, 1], weight=fp32 [3, 4, 1, 1] in the file, x=x0): fp32 [2, 3, 1, 5]',
        coreai: 'y = primitive.conv2d_v1(x0, w1 [3, 4, 1, 1], [1, 1], [1, 1], 1): f32 [2, 3, 1, 5]',
      },
      reference: (x, w) =>
        fill([2, 3, 5], (n, o, s) => windowSum([4], (c) => w.at(o, c, 0, 0) * x.at(n, c, 0, s))),
    },
  ],
  linear: [
    {
      attributes: {},
      operands: [x(2, 4), w(3, 4), w(3)],
      type: 'f32 [2, 3]',
      written: {
        onnx: 'y = Gemm(x0, w1, w2) transB=1',
        coreml: 'y = linear(bias=fp32 [3] in the program, weight=fp32 [3, 4] in the file, x=x0): fp32 [2, 3]',
        coreai: lines(
          '%0 = primitive.transpose_v1(w1 [3, 4], [1, 0]): f32 [4, 3]',
          '%1 = broadcasting_batch_matmul_v1(x0, %0): f32 [2, 3]',
          'y = broadcasting_add_v1(%1, w2 [3]): f32 [2, 3]',
        ),
      },
      reference: (x, w, b) =>
        fill([2, 3], (n, o) => b.at(o) + windowSum([4], (i) => w.at(o, i) * x.at(n, i))),
    },
    {
      with: 'tokens and no bias',
      attributes: {},
      operands: [x(2, 5, 4), w(3, 4)],
      type: 'f32 [2, 5, 3]',
      written: {
        onnx: lines(
          'y/rows = Reshape(x0, [-1, 4])',
          'y/product = Gemm(y/rows, w1) transB=1',
          'y = Reshape(y/product, [2, 5, 3])',
        ),
        coreml: 'y = linear(bias=fp32 [0, 0, 0], weight=fp32 [3, 4] in the file, x=x0): fp32 [2, 5, 3]',
        coreai: lines(
          '%0 = primitive.transpose_v1(w1 [3, 4], [1, 0]): f32 [4, 3]',
          'y = broadcasting_batch_matmul_v1(x0, %0): f32 [2, 5, 3]',
        ),
      },
      reference: (x, w) => fill([2, 5, 3], (n, s, o) => windowSum([4], (i) => w.at(o, i) * x.at(n, s, i))),
    },
  ],
  matmul: [
    {
      attributes: { transposeA: false, transposeB: false },
      operands: [x(2, 3, 4), x(1, 4, 5)],
      type: 'f32 [2, 3, 5]',
      written: {
        onnx: 'y = MatMul(x0, x1)',
        coreml: 'y = matmul(transpose_x=false, transpose_y=false, x=x0, y=x1): fp32 [2, 3, 5]',
        coreai: 'y = broadcasting_batch_matmul_v1(x0, x1): f32 [2, 3, 5]',
      },
      reference: (a, b) => fill([2, 3, 5], (n, i, j) => windowSum([4], (k) => a.at(n, i, k) * b.at(0, k, j))),
    },
    {
      with: 'a transposed',
      attributes: { transposeA: true, transposeB: false },
      operands: [x(2, 1, 4, 3), x(2, 1, 4, 5)],
      type: 'f32 [2, 1, 3, 5]',
      written: {
        onnx: lines('y/a = Transpose(x0) perm=[0, 1, 3, 2]', 'y = MatMul(y/a, x1)'),
        coreml: 'y = matmul(transpose_x=true, transpose_y=false, x=x0, y=x1): fp32 [2, 1, 3, 5]',
        coreai: lines(
          '%0 = primitive.transpose_v1(x0, [0, 1, 3, 2]): f32 [2, 1, 3, 4]',
          'y = primitive.batch_matmul_v1(%0, x1): f32 [2, 1, 3, 5]',
        ),
      },
      reference: (a, b) =>
        fill([2, 3, 5], (n, i, j) => windowSum([4], (k) => a.at(n, 0, k, i) * b.at(n, 0, k, j))),
    },
    {
      with: 'b transposed',
      attributes: { transposeA: false, transposeB: true },
      operands: [x(2, 3, 4), x(2, 5, 4)],
      type: 'f32 [2, 3, 5]',
      written: {
        onnx: lines('y/b = Transpose(x1) perm=[0, 2, 1]', 'y = MatMul(x0, y/b)'),
        coreml: 'y = matmul(transpose_x=false, transpose_y=true, x=x0, y=x1): fp32 [2, 3, 5]',
        coreai: lines(
          '%0 = primitive.transpose_v1(x1, [0, 2, 1]): f32 [2, 4, 5]',
          'y = primitive.batch_matmul_v1(x0, %0): f32 [2, 3, 5]',
        ),
      },
      reference: (a, b) => fill([2, 3, 5], (n, i, j) => windowSum([4], (k) => a.at(n, i, k) * b.at(n, j, k))),
    },
  ],
  einsum: [
    {
      attributes: { equation: 'bkhc,bchq->bkhq' },
      operands: [x(2, 3, 1, 4), x(2, 4, 1, 5)],
      type: 'f32 [2, 3, 1, 5]',
      written: {
        onnx: 'y = Einsum(x0, x1) equation=bkhc,bchq->bkhq',
        coreml: 'y = einsum(equation="bkhc,bchq->bkhq", values=(x0, x1)): fp32 [2, 3, 1, 5]',
        coreai: lines(
          '%0 = primitive.transpose_v1(x0, [0, 2, 1, 3]): f32 [2, 1, 3, 4]',
          '%1 = primitive.reshape_v2(%0, [2, 3, 4]): f32 [2, 3, 4]',
          '%2 = primitive.transpose_v1(x1, [0, 2, 1, 3]): f32 [2, 1, 4, 5]',
          '%3 = primitive.reshape_v2(%2, [2, 4, 5]): f32 [2, 4, 5]',
          '%4 = primitive.batch_matmul_v1(%1, %3): f32 [2, 3, 5]',
          '%5 = primitive.reshape_v2(%4, [2, 1, 3, 5]): f32 [2, 1, 3, 5]',
          'y = primitive.transpose_v1(%5, [0, 2, 1, 3]): f32 [2, 3, 1, 5]',
        ),
      },
      reference: (k, q) =>
        fill([2, 3, 5], (b, i, j) => windowSum([4], (c) => k.at(b, i, 0, c) * q.at(b, c, 0, j))),
    },
    {
      with: 'the sum over the last axis',
      attributes: { equation: 'bchk,bkhq->bchq' },
      operands: [x(2, 4, 1, 3), x(2, 3, 1, 5)],
      type: 'f32 [2, 4, 1, 5]',
      written: {
        onnx: 'y = Einsum(x0, x1) equation=bchk,bkhq->bchq',
        coreml: 'y = einsum(equation="bchk,bkhq->bchq", values=(x0, x1)): fp32 [2, 4, 1, 5]',
        coreai: lines(
          '%0 = primitive.transpose_v1(x0, [0, 2, 1, 3]): f32 [2, 1, 4, 3]',
          '%1 = primitive.reshape_v2(%0, [2, 4, 3]): f32 [2, 4, 3]',
          '%2 = primitive.transpose_v1(x1, [0, 2, 1, 3]): f32 [2, 1, 3, 5]',
          '%3 = primitive.reshape_v2(%2, [2, 3, 5]): f32 [2, 3, 5]',
          '%4 = primitive.batch_matmul_v1(%1, %3): f32 [2, 4, 5]',
          '%5 = primitive.reshape_v2(%4, [2, 1, 4, 5]): f32 [2, 1, 4, 5]',
          'y = primitive.transpose_v1(%5, [0, 2, 1, 3]): f32 [2, 4, 1, 5]',
        ),
      },
      reference: (v, p) =>
        fill([2, 4, 5], (b, c, q) => windowSum([3], (k) => v.at(b, c, 0, k) * p.at(b, k, 0, q))),
    },
  ],
};
