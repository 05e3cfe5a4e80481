import { constant, fill, ints, lines, type Rows, w, x } from './op-case.ts';

/** Operations that only move, repeat or choose numbers. */
export const movements: Rows<
  | 'reshape'
  | 'reshape_like'
  | 'transpose'
  | 'concat'
  | 'slice'
  | 'pad'
  | 'upsample_nearest'
  | 'embedding'
  | 'argmax'
  | 'gather_nd'
> = {
  reshape: [
    {
      attributes: { shape: [3, 1, 4] },
      operands: [x(2, 6)],
      type: 'f32 [3, 1, 4]',
      written: {
        onnx: 'y = Reshape(x0, [3, 1, 4])',
        coreml: 'y = reshape(shape=int32 [3, 1, 4], x=x0): fp32 [3, 1, 4]',
        coreai: 'y = primitive.reshape_v2(x0, [3, 1, 4]): f32 [3, 1, 4]',
      },
      reference: ({ all }) => [...all],
    },
  ],
  reshape_like: [
    {
      attributes: {},
      operands: [x(2, 6), x(3, 1, 4)],
      type: 'f32 [3, 1, 4]',
      written: {
        onnx: lines('y/shape = Shape(x1)', 'y = Reshape(x0, y/shape)'),
        coreml: 'y = reshape(shape=int32 [3, 1, 4], x=x0): fp32 [3, 1, 4]',
        coreai: 'y = primitive.reshape_v2(x0, [3, 1, 4]): f32 [3, 1, 4]',
      },
      reference: ({ all }) => [...all],
    },
  ],
  transpose: [
    {
      attributes: { perm: [1, 2, 0] },
      operands: [x(2, 3, 4)],
      type: 'f32 [3, 4, 2]',
      written: {
        onnx: 'y = Transpose(x0) perm=[1, 2, 0]',
        coreml: 'y = transpose(perm=int32 [1, 2, 0], x=x0): fp32 [3, 4, 2]',
        coreai: 'y = primitive.transpose_v1(x0, [1, 2, 0]): f32 [3, 4, 2]',
      },
      reference: (x) => fill([3, 4, 2], (i, j, k) => x.at(k, i, j)),
    },
  ],
  concat: [
    {
      attributes: { axis: 1 },
      operands: [x(2, 3), x(2, 1), x(2, 2)],
      type: 'f32 [2, 6]',
      written: {
        onnx: 'y = Concat(x0, x1, x2) axis=1',
        coreml: 'y = concat(axis=int32 1, interleave=false, values=(x0, x1, x2)): fp32 [2, 6]',
        coreai: 'y = primitive.concat_v1(1, x0, x1, x2): f32 [2, 6]',
      },
      reference: (a, b, c) =>
        fill([2, 6], (i, j) => (j < 3 ? a.at(i, j) : j < 4 ? b.at(i, 0) : c.at(i, j - 4))),
    },
  ],
  slice: [
    {
      attributes: { axis: 1, start: 2, end: 5 },
      operands: [x(2, 6, 2)],
      type: 'f32 [2, 3, 2]',
      written: {
        onnx: 'y = Slice(x0, [2], [5], [1])',
        coreml: 'y = slice_by_index(begin=int32 [0, 2, 0], end=int32 [2, 5, 2], x=x0): fp32 [2, 3, 2]',
        coreai: 'y = primitive.slice_v1(x0, [0, 2, 0], [2, 5, 2], [1, 1, 1]): f32 [2, 3, 2]',
      },
      reference: (x) => fill([2, 3, 2], (i, j, k) => x.at(i, j + 2, k)),
    },
  ],
  pad: [
    {
      attributes: { axis: 1, before: 1, after: 2 },
      operands: [x(2, 3, 2), constant([], [-30])],
      type: 'f32 [2, 6, 2]',
      written: {
        onnx: 'y = Pad(x0, [0, 1, 0, 0, 2, 0], c1) mode=constant',
        coreml:
          'y = pad(constant_val=fp32 -30, mode="constant", pad=int32 [0, 0, 1, 2, 0, 0], x=x0): fp32 [2, 6, 2]',
        coreai: 'y = primitive.pad_v1 padding 1(x0, [0, 0, 1, 2, 0, 0], -30): f32 [2, 6, 2]',
      },
      reference: (x) => fill([2, 6, 2], (i, j, k) => (j < 1 || j > 3 ? -30 : x.at(i, j - 1, k))),
    },
  ],
  upsample_nearest: [
    {
      attributes: { scale: 2 },
      operands: [x(1, 2, 2, 3)],
      type: 'f32 [1, 2, 4, 6]',
      written: {
        onnx: 'y = Resize(x0, , [1, 1, 2, 2]) coordinate_transformation_mode=asymmetric mode=nearest nearest_mode=floor',
        coreml:
          'y = upsample_nearest_neighbor(scale_factor_height=fp32 2, scale_factor_width=fp32 2, x=x0): fp32 [1, 2, 4, 6]',
        coreai: lines(
          '%0 = primitive.reshape_v2(x0, [1, 2, 2, 1, 3, 1]): f32 [1, 2, 2, 1, 3, 1]',
          '%1 = primitive.broadcast_in_dims_v1(%0, [2, 2], [3, 5]): f32 [1, 2, 2, 2, 3, 2]',
          'y = primitive.reshape_v2(%1, [1, 2, 4, 6]): f32 [1, 2, 4, 6]',
        ),
      },
      reference: (x) => fill([1, 2, 4, 6], (n, c, i, j) => x.at(n, c, Math.floor(i / 2), Math.floor(j / 2))),
    },
  ],
  embedding: [
    {
      attributes: {},
      operands: [w(7, 3), ints([2, 2], [6, 0, 3, 6])],
      type: 'f32 [2, 2, 3]',
      written: {
        onnx: 'y = Gather(w0, x1) axis=0',
        coreml:
          'y = gather(axis=int32 0, batch_dims=int32 0, indices=x1, x=fp32 [7, 3] in the file): fp32 [2, 2, 3]',
        ios17:
          'y = gather(axis=int32 0, batch_dims=int32 0, indices=x1, validate_indices=false, x=fp32 [7, 3] in the file): fp32 [2, 2, 3]',
        coreai: lines(
          '%0 = primitive.reshape_v2(x1, [2, 2, 1]): i32 [2, 2, 1]',
          'y = primitive.gather_nd_v1(w0 [7, 3], %0): f32 [2, 2, 3]',
        ),
      },
      reference: (table, ids) => fill([2, 2, 3], (i, j, c) => table.at(ids.at(i, j), c)),
    },
  ],
  argmax: [
    {
      with: 'the first of several',
      attributes: {},
      operands: [ints([3, 4], [1, 9, 9, 2, 0, 0, 0, 0, -3, -2, -1, -2])],
      type: 'i64 [3, 1]',
      written: {
        onnx: 'y = ArgMax(x0) axis=1 keepdims=1',
        coreml: 'y = reduce_argmax(axis=int32 1, keep_dims=true, x=x0): int32 [3, 1]',
        ios17: 'y = reduce_argmax(axis=int32 1, keep_dims=true, output_dtype="int32", x=x0): int32 [3, 1]',
        coreai: lines('%0 = argmax_v1(x0, 1): u32 [3, 1]', 'y = primitive.cast_v1(%0): i32 [3, 1]'),
      },
      reference: () => [1, 0, 2],
    },
  ],
  gather_nd: [
    {
      attributes: {},
      operands: [x(2, 4, 3), ints([2, 1], [3, 1], 'i64')],
      type: 'f32 [2, 3]',
      written: {
        onnx: 'y = GatherND(x0, x1) batch_dims=1',
        coreml: lines(
          'y_pairs = concat(axis=int32 1, interleave=false, values=(int32 [2, 1] of 0, 1, x1)): int32 [2, 2]',
          'y = gather_nd(batch_dims=int32 0, indices=y_pairs, x=x0): fp32 [2, 3]',
        ),
        ios17: lines(
          'y_pairs = concat(axis=int32 1, interleave=false, values=(int32 [2, 1] of 0, 1, x1)): int32 [2, 2]',
          'y = gather_nd(batch_dims=int32 0, indices=y_pairs, validate_indices=false, x=x0): fp32 [2, 3]',
        ),
        coreai: lines(
          '%0 = primitive.concat_v1(1, [2, 1] of 0, 1, x1): i32 [2, 2]',
          'y = primitive.gather_nd_v1(x0, %0): f32 [2, 3]',
        ),
      },
      reference: (x, index) => fill([2, 3], (n, c) => x.at(n, index.at(n, 0), c)),
    },
  ],
};
