import { type Graph, GraphBuilder } from '../../src/graph/graph.ts';
import type { ComputedOp, OpAttributes, OpKind, SourceKind } from '../../src/graph/op.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import { float16Bits, float16Value } from '../../src/weights/convert-dtype.ts';
import { elementCount } from '../../src/weights/dtype.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { memoryWeight } from './memory-weight.ts';
import type { Tensors } from './run-onnx.ts';
import { scattered } from './scattered.ts';

/**
 * Every operation, at least once: what it reads, the type it must be given, what each target must write for it, and the
 * same computation as plain loops. An operation without a row does not compile, nor does a row without a target's column.
 */
export interface OpCase {
  /** What is special about it. */
  readonly with?: string;
  readonly attributes: object;
  /** In order: `x0`, `x1`, … are given by the caller, `w0`, `w1`, … weights, `c0`, … constants. */
  readonly operands: readonly Operand[];
  /** Dtype and shape of the result, which is called `y`. */
  readonly type: string;
  readonly written: WrittenBy;
  /** The result's elements, row-major. */
  readonly reference: (...operands: readonly Values[]) => number[];
}

/** What each target writes for the operation (`onnxText`). */
interface WrittenBy {
  readonly onnx: string;
}

interface Operand {
  readonly from: 'input' | 'weight' | 'constant';
  readonly dtype: 'f32' | 'i32' | 'i64';
  readonly shape: readonly number[];
  /** Numbers that float16 holds, so that the reference is the same in every precision. */
  readonly values: readonly number[];
}

/** A tensor's numbers; 0 outside of it, as a convolution's padding is. */
interface Values {
  readonly all: readonly number[];
  at(...index: readonly number[]): number;
}

type Row<K extends OpKind> = OpCase & {
  readonly attributes: K extends SourceKind ? object : OpAttributes[K];
};

const opCases: { readonly [K in OpKind]: readonly [Row<K>, ...Row<K>[]] } = {
  input: [
    {
      attributes: {},
      operands: [x(2, 3)],
      type: 'f32 [2, 3]',
      written: { onnx: 'y = Identity(x0)' },
      reference: ({ all }) => [...all],
    },
  ],
  weight: [
    {
      attributes: {},
      operands: [w(2, 3)],
      type: 'f32 [2, 3]',
      written: { onnx: 'y = Identity(w0)' },
      reference: ({ all }) => [...all],
    },
  ],
  constant: [
    {
      attributes: {},
      operands: [constant([3], [1, 0.5, -2])],
      type: 'f32 [3]',
      written: { onnx: '' },
      reference: ({ all }) => [...all],
    },
  ],
  conv2d: [
    {
      attributes: { stride: 1, pads: { top: 1, left: 1, bottom: 1, right: 1 } },
      operands: [x(2, 2, 4, 5), w(3, 2, 3, 3), w(3)],
      type: 'f32 [2, 3, 4, 5]',
      written: { onnx: 'y = Conv(x0, w1, w2) kernel_shape=[3, 3] pads=[1, 1, 1, 1] strides=[1, 1]' },
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
      written: { onnx: 'y = Conv(x0, w1) kernel_shape=[3, 3] pads=[0, 1, 2, 3] strides=[2, 2]' },
      reference: (x, w) =>
        fill([1, 3, 3, 3], (n, o, y, z) =>
          windowSum([2, 3, 3], (c, i, j) => w.at(o, c, i, j) * x.at(n, c, 2 * y + i, 2 * z + j - 1)),
        ),
    },
  ],
  linear: [
    {
      attributes: {},
      operands: [x(2, 4), w(3, 4), w(3)],
      type: 'f32 [2, 3]',
      written: { onnx: 'y = Gemm(x0, w1, w2) transB=1' },
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
      },
      reference: (x, w) => fill([2, 5, 3], (n, s, o) => windowSum([4], (i) => w.at(o, i) * x.at(n, s, i))),
    },
  ],
  matmul: [
    {
      attributes: { transposeA: false, transposeB: false },
      operands: [x(2, 3, 4), x(1, 4, 5)],
      type: 'f32 [2, 3, 5]',
      written: { onnx: 'y = MatMul(x0, x1)' },
      reference: (a, b) => fill([2, 3, 5], (n, i, j) => windowSum([4], (k) => a.at(n, i, k) * b.at(0, k, j))),
    },
    {
      with: 'a transposed',
      attributes: { transposeA: true, transposeB: false },
      operands: [x(2, 1, 4, 3), x(2, 1, 4, 5)],
      type: 'f32 [2, 1, 3, 5]',
      written: { onnx: lines('y/a = Transpose(x0) perm=[0, 1, 3, 2]', 'y = MatMul(y/a, x1)') },
      reference: (a, b) =>
        fill([2, 3, 5], (n, i, j) => windowSum([4], (k) => a.at(n, 0, k, i) * b.at(n, 0, k, j))),
    },
    {
      with: 'b transposed',
      attributes: { transposeA: false, transposeB: true },
      operands: [x(2, 3, 4), x(2, 5, 4)],
      type: 'f32 [2, 3, 5]',
      written: { onnx: lines('y/b = Transpose(x1) perm=[0, 2, 1]', 'y = MatMul(x0, y/b)') },
      reference: (a, b) => fill([2, 3, 5], (n, i, j) => windowSum([4], (k) => a.at(n, i, k) * b.at(n, j, k))),
    },
  ],
  einsum: [
    {
      attributes: { equation: 'bkhc,bchq->bkhq' },
      operands: [x(2, 3, 1, 4), x(2, 4, 1, 5)],
      type: 'f32 [2, 3, 1, 5]',
      written: { onnx: 'y = Einsum(x0, x1) equation=bkhc,bchq->bkhq' },
      reference: (k, q) =>
        fill([2, 3, 5], (b, i, j) => windowSum([4], (c) => k.at(b, i, 0, c) * q.at(b, c, 0, j))),
    },
    {
      with: 'the sum over the last axis',
      attributes: { equation: 'bchk,bkhq->bchq' },
      operands: [x(2, 4, 1, 3), x(2, 3, 1, 5)],
      type: 'f32 [2, 4, 1, 5]',
      written: { onnx: 'y = Einsum(x0, x1) equation=bchk,bkhq->bchq' },
      reference: (v, p) =>
        fill([2, 4, 5], (b, c, q) => windowSum([3], (k) => v.at(b, c, 0, k) * p.at(b, k, 0, q))),
    },
  ],
  add: [
    {
      attributes: {},
      operands: [x(2, 3, 1), x(4)],
      type: 'f32 [2, 3, 4]',
      written: { onnx: 'y = Add(x0, x1)' },
      reference: (a, b) => fill([2, 3, 4], (i, j, k) => a.at(i, j, 0) + b.at(k)),
    },
  ],
  mul: [
    {
      attributes: {},
      operands: [x(2, 3), constant([], [0.375])],
      type: 'f32 [2, 3]',
      written: { onnx: 'y = Mul(x0, c1)' },
      reference: (a, b) => a.all.map((value) => value * b.at()),
    },
  ],
  equal: [
    {
      attributes: {},
      operands: [ints([2, 3], [7, 2, 49407, 2, 49406, 49407]), constant([], [49407], 'i32')],
      type: 'bool [2, 3]',
      written: { onnx: 'y = Equal(x0, c1)' },
      reference: (a, b) => a.all.map((value) => Number(value === b.at())),
    },
  ],
  greater: [
    {
      with: 'equal ones among them, which are not',
      attributes: {},
      operands: [given([2, 3], [-1, 0, 0.5, 2 ** -14, 7, -0.5]), constant([3], [0, 0, 0.5])],
      type: 'bool [2, 3]',
      written: { onnx: 'y = Greater(x0, c1)' },
      reference: (a, b) => fill([2, 3], (i, j) => Number(a.at(i, j) > b.at(j))),
    },
  ],
  relu: [
    {
      attributes: {},
      operands: [wide(40, 8)],
      type: 'f32 [40]',
      written: { onnx: 'y = Relu(x0)' },
      reference: ({ all }) => all.map((value) => Math.max(value, 0)),
    },
  ],
  silu: [
    {
      attributes: {},
      operands: [wide(40, 8)],
      type: 'f32 [40]',
      written: { onnx: lines('y/sigmoid = Sigmoid(x0)', 'y = Mul(x0, y/sigmoid)') },
      reference: ({ all }) => all.map((value) => value / (1 + Math.exp(-value))),
    },
  ],
  sigmoid: [
    {
      attributes: {},
      operands: [wide(40, 8)],
      type: 'f32 [40]',
      written: { onnx: 'y = Sigmoid(x0)' },
      reference: ({ all }) => all.map((value) => 1 / (1 + Math.exp(-value))),
    },
  ],
  gelu: [
    {
      attributes: {},
      operands: [wide(40, 4)],
      type: 'f32 [40]',
      written: { onnx: 'y = Gelu(x0) approximate=none' },
      reference: ({ all }) => all.map((value) => (value * (1 + erf(value / Math.SQRT2))) / 2),
    },
  ],
  tanh: [
    {
      attributes: {},
      operands: [wide(40, 4)],
      type: 'f32 [40]',
      written: { onnx: 'y = Tanh(x0)' },
      reference: ({ all }) => all.map(Math.tanh),
    },
  ],
  sin: [
    {
      attributes: {},
      operands: [wide(40, 999)],
      type: 'f32 [40]',
      written: { onnx: 'y = Sin(x0)' },
      reference: ({ all }) => all.map(Math.sin),
    },
  ],
  cos: [
    {
      attributes: {},
      operands: [wide(40, 999)],
      type: 'f32 [40]',
      written: { onnx: 'y = Cos(x0)' },
      reference: ({ all }) => all.map(Math.cos),
    },
  ],
  softmax: [
    {
      attributes: { axis: 1 },
      operands: [x(2, 3, 4)],
      type: 'f32 [2, 3, 4]',
      written: { onnx: 'y = Softmax(x0) axis=1' },
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
      written: { onnx: 'y = Softmax(x0) axis=0' },
      reference: () => [1 / (1 + Math.exp(-1)), Math.exp(-1) / (1 + Math.exp(-1)), 0],
    },
  ],
  group_norm: [
    {
      with: 'an epsilon that shows',
      attributes: { groups: 3, epsilon: 0.25 },
      operands: [x(2, 6, 2, 3), w(6), w(6)],
      type: 'f32 [2, 6, 2, 3]',
      written: { onnx: 'y = GroupNormalization(x0, w1, w2) epsilon=0.25 num_groups=3' },
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
      written: { onnx: 'y = LayerNormalization(x0, w1, w2) axis=-1 epsilon=0.25' },
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
      },
      reference: (x, w, b) =>
        fill([2, 5, 3], (n, c, s) => {
          const row = fill([5], (each) => x.at(n, each, 0, s));
          return normalised(x.at(n, c, 0, s), row, 0.25) * w.at(c) + b.at(c);
        }),
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
      },
      reference: () => [0.8, 0.6, 0, 0, 0.5, 0],
    },
  ],
  reduce_max: [
    {
      attributes: { axis: 1 },
      operands: [x(2, 3, 4)],
      type: 'f32 [2, 1, 4]',
      written: { onnx: 'y = ReduceMax(x0, [1]) keepdims=1' },
      reference: (x) => fill([2, 4], (i, k) => Math.max(x.at(i, 0, k), x.at(i, 1, k), x.at(i, 2, k))),
    },
  ],
  reshape: [
    {
      attributes: { shape: [3, 1, 4] },
      operands: [x(2, 6)],
      type: 'f32 [3, 1, 4]',
      written: { onnx: 'y = Reshape(x0, [3, 1, 4])' },
      reference: ({ all }) => [...all],
    },
  ],
  reshape_like: [
    {
      attributes: {},
      operands: [x(2, 6), x(3, 1, 4)],
      type: 'f32 [3, 1, 4]',
      written: { onnx: lines('y/shape = Shape(x1)', 'y = Reshape(x0, y/shape)') },
      reference: ({ all }) => [...all],
    },
  ],
  transpose: [
    {
      attributes: { perm: [1, 2, 0] },
      operands: [x(2, 3, 4)],
      type: 'f32 [3, 4, 2]',
      written: { onnx: 'y = Transpose(x0) perm=[1, 2, 0]' },
      reference: (x) => fill([3, 4, 2], (i, j, k) => x.at(k, i, j)),
    },
  ],
  concat: [
    {
      attributes: { axis: 1 },
      operands: [x(2, 3), x(2, 1), x(2, 2)],
      type: 'f32 [2, 6]',
      written: { onnx: 'y = Concat(x0, x1, x2) axis=1' },
      reference: (a, b, c) =>
        fill([2, 6], (i, j) => (j < 3 ? a.at(i, j) : j < 4 ? b.at(i, 0) : c.at(i, j - 4))),
    },
  ],
  slice: [
    {
      attributes: { axis: 1, start: 2, end: 5 },
      operands: [x(2, 6, 2)],
      type: 'f32 [2, 3, 2]',
      written: { onnx: 'y = Slice(x0, [2], [5], [1])' },
      reference: (x) => fill([2, 3, 2], (i, j, k) => x.at(i, j + 2, k)),
    },
  ],
  pad: [
    {
      attributes: { axis: 1, before: 1, after: 2 },
      operands: [x(2, 3, 2), constant([], [-30])],
      type: 'f32 [2, 6, 2]',
      written: { onnx: 'y = Pad(x0, [0, 1, 0, 0, 2, 0], c1) mode=constant' },
      reference: (x) => fill([2, 6, 2], (i, j, k) => (j < 1 || j > 3 ? -30 : x.at(i, j - 1, k))),
    },
  ],
  cast: [
    {
      with: 'token ids given as fractions, which float16 could not hold',
      attributes: { to: 'i32' },
      operands: [given([4], [0, 320, 49406, 49407])],
      type: 'i32 [4]',
      written: { onnx: 'y = Cast(x0) to=6' },
      reference: ({ all }) => [...all],
    },
    {
      with: 'integers made fractions',
      attributes: { to: 'f32' },
      operands: [ints([4], [0, -1, 981, 2048])],
      type: 'f32 [4]',
      written: { onnx: 'y = Cast(x0) to=1' },
      reference: ({ all }) => [...all],
    },
  ],
  upsample_nearest: [
    {
      attributes: { scale: 2 },
      operands: [x(1, 2, 2, 3)],
      type: 'f32 [1, 2, 4, 6]',
      written: {
        onnx: 'y = Resize(x0, , [1, 1, 2, 2]) coordinate_transformation_mode=asymmetric mode=nearest nearest_mode=floor',
      },
      reference: (x) => fill([1, 2, 4, 6], (n, c, i, j) => x.at(n, c, Math.floor(i / 2), Math.floor(j / 2))),
    },
  ],
  embedding: [
    {
      attributes: {},
      operands: [w(7, 3), ints([2, 2], [6, 0, 3, 6])],
      type: 'f32 [2, 2, 3]',
      written: { onnx: 'y = Gather(w0, x1) axis=0' },
      reference: (table, ids) => fill([2, 2, 3], (i, j, c) => table.at(ids.at(i, j), c)),
    },
  ],
  argmax: [
    {
      with: 'the first of several',
      attributes: {},
      operands: [ints([3, 4], [1, 9, 9, 2, 0, 0, 0, 0, -3, -2, -1, -2])],
      type: 'i64 [3, 1]',
      written: { onnx: 'y = ArgMax(x0) axis=1 keepdims=1' },
      reference: () => [1, 0, 2],
    },
  ],
  gather_nd: [
    {
      attributes: {},
      operands: [x(2, 4, 3), ints([2, 1], [3, 1], 'i64')],
      type: 'f32 [2, 3]',
      written: { onnx: 'y = GatherND(x0, x1) batch_dims=1' },
      reference: (x, index) => fill([2, 3], (n, c) => x.at(n, index.at(n, 0), c)),
    },
  ],
};

/** Every case with its operation. */
export const everyOpCase = Object.entries(opCases).flatMap(([kind, cases]) =>
  cases.map((each) => ({ ...each, name: each.with ? `${kind}, ${each.with}` : kind, kind })),
);

/** The graph of a case: its operands, and its operation as the output `y`. */
export function graphOfCase({ kind, attributes, operands }: OpCase & { readonly kind: string }): Graph {
  const builder = new GraphBuilder();
  const tensors = operands.map((operand, index) => recorded(builder, operand, index));
  // as: `Row` pairs each kind with its attributes, which `Object.entries` forgets.
  const op = { kind, ...attributes } as ComputedOp;
  const [only] = tensors;
  const isSource = kind === 'input' || kind === 'weight' || kind === 'constant';
  return builder.finish([{ name: 'y', tensor: isSource && only ? only : builder.apply(op, tensors, 'y') }]);
}

/** What a caller of the case's graph provides. */
export function feedsOfCase({ operands }: OpCase): Tensors {
  const feeds = operands.map(({ from, dtype, shape, values }, index): [string, Tensors[string]][] => {
    if (from !== 'input') return [];
    return [
      [
        `x${index}`,
        dtype === 'i64'
          ? { dtype, shape, data: BigInt64Array.from(values, BigInt) }
          : small({ dtype, shape, values }),
      ],
    ];
  });
  return Object.fromEntries(feeds.flat());
}

/** What the plain loops compute. */
export function expectedOfCase({ operands, reference }: OpCase): number[] {
  return reference(...operands.map(valuesOf));
}

function recorded(builder: GraphBuilder, { from, dtype, shape, values }: Operand, index: number): Tensor {
  switch (from) {
    case 'input':
      return builder.input(`x${index}`, { dtype, shape });
    case 'weight':
      return builder.weight(memoryWeight(`w${index}`, shape, Float32Array.from(values)), { dtype, shape });
    case 'constant':
      return builder.constant(
        dtype === 'f32' ? Float32Array.from(values) : Int32Array.from(values),
        shape,
        `c${index}`,
      );
  }
}

function small({
  dtype,
  shape,
  values,
}: {
  dtype: 'f32' | 'i32';
  shape: readonly number[];
  values: readonly number[];
}): TensorData<'f32' | 'i32'> {
  return dtype === 'f32'
    ? { dtype, shape, data: Float32Array.from(values) }
    : { dtype, shape, data: Int32Array.from(values) };
}

function valuesOf({ shape, values }: Operand): Values {
  const at = (...index: readonly number[]): number => {
    if (index.length !== shape.length) throw new RangeError(`${index.length} indices into [${shape}]`);
    const inside = index.every((position, axis) => position >= 0 && position < (shape[axis] ?? 0));
    return inside
      ? (values[index.reduce((offset, position, axis) => offset * (shape[axis] ?? 0) + position, 0)] ?? 0)
      : 0;
  };
  return { all: values, at };
}

/** An input of scattered numbers. */
function x(...shape: number[]): Operand {
  return { from: 'input', dtype: 'f32', shape, values: halves(elementCount(shape), 1) };
}

/** An input [n] of numbers between −`span` and `span`. */
function wide(count: number, span: number): Operand {
  return { from: 'input', dtype: 'f32', shape: [count], values: halves(count, span) };
}

function given(shape: number[], values: number[]): Operand {
  return { from: 'input', dtype: 'f32', shape, values };
}

function ints(shape: number[], values: number[], dtype: 'i32' | 'i64' = 'i32'): Operand {
  return { from: 'input', dtype, shape, values };
}

function w(...shape: number[]): Operand {
  return { from: 'weight', dtype: 'f32', shape, values: halves(elementCount(shape), 1) };
}

function constant(shape: number[], values: number[], dtype: 'f32' | 'i32' = 'f32'): Operand {
  return { from: 'constant', dtype, shape, values };
}

/** Scattered numbers that float16 holds. */
function halves(count: number, span: number): number[] {
  return Array.from(scattered(count, count), (value) => float16Value(float16Bits(value * span)));
}

/** An array of this shape, row-major, from its elements' indices. */
function fill(shape: readonly number[], element: (...index: number[]) => number): number[] {
  const [size, ...rest] = shape;
  if (size === undefined) return [element()];
  return Array.from({ length: size }, (_, first) =>
    fill(rest, (...index) => element(first, ...index)),
  ).flat();
}

function windowSum(shape: readonly number[], term: (...index: number[]) => number): number {
  return fill(shape, term).reduce((sum, value) => sum + value, 0);
}

function normalised(value: number, group: readonly number[], epsilon: number): number {
  const mean = group.reduce((sum, each) => sum + each, 0) / group.length;
  const variance = group.reduce((sum, each) => sum + (each - mean) ** 2, 0) / group.length;
  return (value - mean) / Math.sqrt(variance + epsilon);
}

/** The Maclaurin series of the error function: in float64 exact to ten digits where |x| < 3. */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 100; n++) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (sum * 2) / Math.sqrt(Math.PI);
}

function lines(...texts: string[]): string {
  return texts.join('\n');
}
