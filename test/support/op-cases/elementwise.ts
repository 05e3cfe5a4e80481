import { constant, erf, fill, given, ints, lines, type Rows, wide, x } from './op-case.ts';

/** Operations on each element by itself, or on pairs. */
export const elementwise: Rows<
  'add' | 'mul' | 'equal' | 'greater' | 'relu' | 'silu' | 'sigmoid' | 'gelu' | 'tanh' | 'sin' | 'cos' | 'cast'
> = {
  add: [
    {
      attributes: {},
      operands: [x(2, 3, 1), x(4)],
      type: 'f32 [2, 3, 4]',
      written: {
        onnx: 'y = Add(x0, x1)',
        coreml: 'y = add(x=x0, y=x1): fp32 [2, 3, 4]',
        coreai: 'y = broadcasting_add_v1(x0, x1): f32 [2, 3, 4]',
      },
      reference: (a, b) => fill([2, 3, 4], (i, j, k) => a.at(i, j, 0) + b.at(k)),
    },
  ],
  mul: [
    {
      attributes: {},
      operands: [x(2, 3), constant([], [0.375])],
      type: 'f32 [2, 3]',
      written: {
        onnx: 'y = Mul(x0, c1)',
        coreml: 'y = mul(x=x0, y=fp32 0.375): fp32 [2, 3]',
        coreai: 'y = broadcasting_mul_v1(x0, 0.375): f32 [2, 3]',
      },
      reference: (a, b) => a.all.map((value) => value * b.at()),
    },
  ],
  equal: [
    {
      attributes: {},
      operands: [ints([2, 3], [7, 2, 49407, 2, 49406, 49407]), constant([], [49407], 'i32')],
      type: 'bool [2, 3]',
      written: {
        onnx: lines('truth = Equal(x0, c1)', 'y = Cast(truth) to=6'),
        coreml: lines(
          'truth = equal(x=x0, y=int32 49407): bool [2, 3]',
          'y = cast(dtype="int32", x=truth): int32 [2, 3]',
        ),
        coreai: lines(
          '%0 = broadcasting_equal_v1(x0, 49407): bool [2, 3]',
          'y = primitive.cast_v1(%0): i32 [2, 3]',
        ),
      },
      reference: (a, b) => a.all.map((value) => Number(value === b.at())),
    },
  ],
  greater: [
    {
      with: 'equal ones among them, which are not',
      attributes: {},
      operands: [given([2, 3], [-1, 0, 0.5, 2 ** -14, 7, -0.5]), constant([3], [0, 0, 0.5])],
      type: 'bool [2, 3]',
      written: {
        onnx: lines('truth = Greater(x0, c1)', 'y = Cast(truth) to=6'),
        coreml: lines(
          'truth = greater(x=x0, y=fp32 [0, 0, 0.5]): bool [2, 3]',
          'y = cast(dtype="int32", x=truth): int32 [2, 3]',
        ),
        coreai: lines(
          '%0 = broadcasting_greater_v1(x0, [0, 0, 0.5]): bool [2, 3]',
          'y = primitive.cast_v1(%0): i32 [2, 3]',
        ),
      },
      reference: (a, b) => fill([2, 3], (i, j) => Number(a.at(i, j) > b.at(j))),
    },
  ],
  relu: [
    {
      attributes: {},
      operands: [wide(40, 8)],
      type: 'f32 [40]',
      written: {
        onnx: 'y = Relu(x0)',
        coreml: 'y = relu(x=x0): fp32 [40]',
        coreai: 'y = relu_v1(x0): f32 [40]',
      },
      reference: ({ all }) => all.map((value) => Math.max(value, 0)),
    },
  ],
  silu: [
    {
      attributes: {},
      operands: [wide(40, 8)],
      type: 'f32 [40]',
      written: {
        onnx: lines('y/sigmoid = Sigmoid(x0)', 'y = Mul(x0, y/sigmoid)'),
        coreml: 'y = silu(x=x0): fp32 [40]',
        coreai: 'y = silu_v1(x0): f32 [40]',
      },
      reference: ({ all }) => all.map((value) => value / (1 + Math.exp(-value))),
    },
  ],
  sigmoid: [
    {
      attributes: {},
      operands: [wide(40, 8)],
      type: 'f32 [40]',
      written: {
        onnx: 'y = Sigmoid(x0)',
        coreml: 'y = sigmoid(x=x0): fp32 [40]',
        coreai: 'y = sigmoid_v1(x0): f32 [40]',
      },
      reference: ({ all }) => all.map((value) => 1 / (1 + Math.exp(-value))),
    },
  ],
  gelu: [
    {
      attributes: {},
      operands: [wide(40, 4)],
      type: 'f32 [40]',
      written: {
        onnx: 'y = Gelu(x0) approximate=none',
        coreml: 'y = gelu(mode="EXACT", x=x0): fp32 [40]',
        coreai: 'y = primitive.gelu_v1 gelu 0(x0): f32 [40]',
      },
      reference: ({ all }) => all.map((value) => (value * (1 + erf(value / Math.SQRT2))) / 2),
    },
  ],
  tanh: [
    {
      attributes: {},
      operands: [wide(40, 4)],
      type: 'f32 [40]',
      written: {
        onnx: 'y = Tanh(x0)',
        coreml: 'y = tanh(x=x0): fp32 [40]',
        coreai: 'y = primitive.tanh_v1(x0): f32 [40]',
      },
      reference: ({ all }) => all.map(Math.tanh),
    },
  ],
  sin: [
    {
      attributes: {},
      operands: [wide(40, 999)],
      type: 'f32 [40]',
      written: {
        onnx: 'y = Sin(x0)',
        coreml: 'y = sin(x=x0): fp32 [40]',
        coreai: 'y = primitive.sin_v1(x0): f32 [40]',
      },
      reference: ({ all }) => all.map(Math.sin),
    },
  ],
  cos: [
    {
      attributes: {},
      operands: [wide(40, 999)],
      type: 'f32 [40]',
      written: {
        onnx: 'y = Cos(x0)',
        coreml: 'y = cos(x=x0): fp32 [40]',
        coreai: 'y = primitive.cos_v1(x0): f32 [40]',
      },
      reference: ({ all }) => all.map(Math.cos),
    },
  ],
  cast: [
    {
      with: 'token ids given as fractions, which float16 could not hold',
      attributes: { to: 'i32' },
      operands: [given([4], [0, 320, 49406, 49407])],
      type: 'i32 [4]',
      written: {
        onnx: 'y = Cast(x0) to=6',
        coreml: 'y = cast(dtype="int32", x=x0): int32 [4]',
        coreai: 'y = primitive.cast_v1(x0): i32 [4]',
      },
      reference: ({ all }) => [...all],
    },
    {
      with: 'integers made fractions',
      attributes: { to: 'f32' },
      operands: [ints([4], [0, -1, 981, 2048])],
      type: 'f32 [4]',
      written: {
        onnx: 'y = Cast(x0) to=1',
        coreml: 'y = cast(dtype="fp32", x=x0): fp32 [4]',
        coreai: 'y = primitive.cast_v1(x0): f32 [4]',
      },
      reference: ({ all }) => [...all],
    },
  ],
};
