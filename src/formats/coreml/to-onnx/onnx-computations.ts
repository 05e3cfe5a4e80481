import { dataTypes } from '../../onnx/proto.ts';
import { isFraction } from '../mil/mil-elements.ts';
import type { OnnxCall, OnnxLowering } from './onnx-call.ts';
import { lstm } from './onnx-lstm.ts';

/**
 * The operations of ML Programs that compute new numbers, in ONNX's standard operators of opset 21. coremltools documents
 * them (converters/mil/mil/ops/defs), with the defaults of omitted parameters. Those that only move numbers are in
 * `onnx-movements.ts`.
 */
export const computations: Readonly<Record<string, OnnxLowering>> = {
  ...unaries({
    abs: 'Abs',
    acos: 'Acos',
    asin: 'Asin',
    atan: 'Atan',
    ceil: 'Ceil',
    cos: 'Cos',
    cosh: 'Cosh',
    erf: 'Erf',
    exp: 'Exp',
    floor: 'Floor',
    logical_not: 'Not',
    relu: 'Relu',
    round: 'Round',
    sigmoid: 'Sigmoid',
    sign: 'Sign',
    sin: 'Sin',
    sinh: 'Sinh',
    softplus: 'Softplus',
    softsign: 'Softsign',
    sqrt: 'Sqrt',
    tan: 'Tan',
    tanh: 'Tanh',
  }),
  ...binaries({
    add: 'Add',
    sub: 'Sub',
    mul: 'Mul',
    real_div: 'Div',
    pow: 'Pow',
    maximum: 'Max',
    minimum: 'Min',
    equal: 'Equal',
    greater: 'Greater',
    greater_equal: 'GreaterOrEqual',
    less: 'Less',
    less_equal: 'LessOrEqual',
    logical_and: 'And',
    logical_or: 'Or',
    logical_xor: 'Xor',
  }),
  ...reductions({
    reduce_l1_norm: 'ReduceL1',
    reduce_l2_norm: 'ReduceL2',
    reduce_log_sum: 'ReduceLogSum',
    reduce_log_sum_exp: 'ReduceLogSumExp',
    reduce_max: 'ReduceMax',
    reduce_mean: 'ReduceMean',
    reduce_min: 'ReduceMin',
    reduce_prod: 'ReduceProd',
    reduce_sum: 'ReduceSum',
    reduce_sum_square: 'ReduceSumSquare',
  }),

  not_equal: (op) => op.result('Not', [op.step('Equal', [op.operand('x'), op.operand('y')])]),

  /** Rounded down; ONNX's Div of whole numbers cuts off instead. */
  floor_div(op) {
    const [x, y] = [op.operand('x'), op.operand('y')];
    if (isFraction(op.typeOf('x').dtype)) return op.result('Floor', [op.step('Div', [x, y])]);
    op.result('Div', [op.step('Sub', [x, op.step('Mod', [x, y])]), y]);
  },

  /** Has the sign of the divisor, as ONNX's Mod has it for whole numbers only. */
  mod(op) {
    const [x, y] = [op.operand('x'), op.operand('y')];
    if (!isFraction(op.typeOf('x').dtype)) return op.result('Mod', [x, y]);
    op.result('Sub', [x, op.step('Mul', [op.step('Floor', [op.step('Div', [x, y])]), y])]);
  },

  square: (op) => op.result('Mul', [op.operand('x'), op.operand('x')]),
  exp2: (op) => op.result('Pow', [op.scalar(2), op.operand('x')]),
  log: (op) => op.result('Log', [plusEpsilon(op, 1e-45)]),
  inverse: (op) => op.result('Reciprocal', [plusEpsilon(op, 1e-4)]),
  rsqrt: (op) => op.result('Reciprocal', [op.step('Sqrt', [plusEpsilon(op, 1e-12)])]),
  threshold: (op) => op.result('Max', [op.operand('x'), op.operand('alpha')]),
  clip: (op) => op.result('Clip', [op.operand('x'), scalarOf(op, 'alpha', 0), scalarOf(op, 'beta', 1)]),
  relu6: (op) => op.result('Clip', [op.operand('x'), op.scalar(0), op.scalar(6)]),
  silu: (op) => op.result('Mul', [op.operand('x'), op.step('Sigmoid', [op.operand('x')])]),

  leaky_relu(op) {
    op.result('LeakyRelu', [op.operand('x')], { alpha: op.write.float(op.float('alpha', 0.01)) });
  },

  elu(op) {
    op.result('Elu', [op.operand('x')], { alpha: op.write.float(op.float('alpha', 1)) });
  },

  prelu: (op) => op.result('PRelu', [op.operand('x'), perChannel(op, 'alpha')]),

  gelu(op) {
    const x = op.operand('x');
    const mode = op.text('mode', 'EXACT');
    if (mode === 'EXACT') return op.result('Gelu', [x], { approximate: 'none' });
    if (mode === 'TANH_APPROXIMATION') return op.result('Gelu', [x], { approximate: 'tanh' });
    if (mode !== 'SIGMOID_APPROXIMATION') throw op.refuse(`its mode is ${mode}`);
    op.result('Mul', [x, op.step('Sigmoid', [op.step('Mul', [x, op.scalar(1.702)])])]);
  },

  /** Fractions are cut off to whole numbers; whole numbers wrap around. */
  cast(op) {
    const dtype = op.text('dtype', '');
    const narrow = narrowIntegers[dtype];
    const to = dtype === 'int32' ? dataTypes.i64 : dtype === 'bool' ? dataTypes.bool : dataTypes.f32;
    if (narrow === undefined) return op.result('Cast', [op.operand('x')], { to });
    const whole = op.step('Cast', [op.operand('x')], { to: dataTypes.i64 });
    op.result('Cast', [op.step('Cast', [whole], { to: narrow })], { to: dataTypes.i64 });
  },

  softmax: (op) => op.result('Softmax', [op.operand('x')], { axis: op.int('axis', -1) }),

  matmul(op) {
    const side = (parameter: string, flag: string): string =>
      op.flag(flag) && op.rankOf(parameter) > 1 ? swapLastTwo(op, parameter) : op.operand(parameter);
    op.result('MatMul', [side('x', 'transpose_x'), side('y', 'transpose_y')]);
  },

  linear(op) {
    const factors = [op.operand('x'), swapLastTwo(op, 'weight')];
    if (!op.has('bias')) return op.result('MatMul', factors);
    op.result('Add', [op.step('MatMul', factors), op.operand('bias')]);
  },

  einsum: (op) => op.result('Einsum', op.operands('values'), { equation: op.text('equation', '') }),

  /** softmax(q·kᵀ / √E + mask)·v; a mask of truths is −∞ where it is false. */
  scaled_dot_product_attention(op) {
    const products = op.step('MatMul', [op.operand('query'), swapLastTwo(op, 'key')]);
    let scores = op.step('Div', [products, op.scalar(Math.sqrt(op.sizeOf('query', -1)))]);
    if (op.has('attn_mask')) {
      const mask = op.operand('attn_mask');
      scores =
        op.typeOf('attn_mask').dtype === 'bool'
          ? op.step('Where', [mask, scores, op.scalar(Number.NEGATIVE_INFINITY)])
          : op.step('Add', [scores, mask]);
    }
    op.result('MatMul', [op.step('Softmax', [scores], { axis: -1 }), op.operand('value')]);
  },

  conv(op) {
    const spatial = [...Array(op.rankOf('x') - 2).keys()];
    const kernel = spatial.map((axis) => op.sizeOf('weight', axis + 2));
    const strides = op.ints('strides') ?? kernel.map(() => 1);
    const dilations = op.ints('dilations') ?? kernel.map(() => 1);
    const pads = spatialPads(op, kernel, strides, dilations);
    const bias = op.has('bias') ? [op.operand('bias')] : [];
    op.result('Conv', [op.operand('x'), op.operand('weight'), ...bias], {
      kernel_shape: kernel,
      strides,
      dilations,
      pads: [...pads.map(([before]) => before), ...pads.map(([, after]) => after)],
      group: op.int('groups', 1),
    });
  },

  layer_norm(op) {
    const rank = op.rankOf('x');
    const given = op.ints('axes') ?? [...Array(rank).keys()];
    const axes = given.map((axis) => (axis < 0 ? axis + rank : axis));
    if (axes.length === 1 && axes[0] === rank - 1 && op.has('gamma')) {
      const parameters = ['x', 'gamma', ...(op.has('beta') ? ['beta'] : [])].map((name) => op.operand(name));
      const epsilon = op.write.float(op.float('epsilon', 1e-5));
      return op.result('LayerNormalization', parameters, { axis: -1, epsilon });
    }
    const dims = op.typeOf('x').shape.map((_, axis) => (axes.includes(axis) ? op.sizeOf('x', axis) : 1));
    const shaped = (parameter: string): string =>
      op.step('Reshape', [op.operand(parameter), op.write.int64s(dims)]);
    normalise(op, axes, shaped);
  },

  instance_norm(op) {
    const axes = [...Array(op.rankOf('x')).keys()].slice(2);
    normalise(op, axes, (parameter) => perChannel(op, parameter));
  },

  batch_norm(op) {
    const variance = op.step('Add', [perChannel(op, 'variance'), op.scalar(op.float('epsilon', 1e-5))]);
    const centred = op.step('Sub', [op.operand('x'), perChannel(op, 'mean')]);
    const quotient = [centred, op.step('Sqrt', [variance])];
    affine(op, quotient, (parameter) => perChannel(op, parameter));
  },

  /** Over the last three axes together. */
  l2_norm(op) {
    const x = op.operand('x');
    const sum = op.step('ReduceSumSquare', [x, op.write.int64s([-3, -2, -1])], { keepdims: 1 });
    const sumAndEpsilon = op.step('Add', [sum, op.scalar(op.float('epsilon', 1e-6))]);
    op.result('Div', [x, op.step('Sqrt', [sumAndEpsilon])]);
  },

  reduce_argmax: (op) => argument(op, 'ArgMax'),
  reduce_argmin: (op) => argument(op, 'ArgMin'),

  cumsum(op) {
    const axis = op.write.int64s([op.int('axis', 0)]);
    const attributes = { exclusive: Number(op.flag('exclusive')), reverse: Number(op.flag('reverse')) };
    op.result('CumSum', [op.operand('x'), axis], attributes);
  },

  range_1d: (op) => op.result('Range', [op.operand('start'), op.operand('end'), op.operand('step')]),

  scatter_nd(op) {
    const mode = op.text('mode', 'add');
    const reduction = mode === 'update' ? 'none' : mode;
    if (!['none', 'add', 'mul', 'max', 'min'].includes(reduction)) throw op.refuse(`its mode is ${mode}`);
    op.result('ScatterND', [op.operand('data'), op.operand('indices'), op.operand('updates')], { reduction });
  },

  lstm,
};

const narrowIntegers: Readonly<Record<string, number>> = {
  int8: dataTypes.i8,
  int16: dataTypes.i16,
  uint8: dataTypes.u8,
  uint16: dataTypes.u16,
};

function unaries(opTypes: Readonly<Record<string, string>>) {
  return rows(opTypes, (opType) => (op) => op.result(opType, [op.operand('x')]));
}

function binaries(opTypes: Readonly<Record<string, string>>) {
  return rows(opTypes, (opType) => (op) => op.result(opType, [op.operand('x'), op.operand('y')]));
}

function reductions(opTypes: Readonly<Record<string, string>>) {
  return rows(opTypes, (opType) => (op) => {
    const axes = op.ints('axes');
    const keepdims = Number(op.flag('keep_dims'));
    op.result(opType, [op.operand('x'), ...(axes ? [op.write.int64s(axes)] : [])], { keepdims });
  });
}

function rows(opTypes: Readonly<Record<string, string>>, lowering: (opType: string) => OnnxLowering) {
  return Object.fromEntries(Object.entries(opTypes).map(([type, opType]) => [type, lowering(opType)]));
}

function argument(op: OnnxCall, opType: string): void {
  op.result(opType, [op.operand('x')], {
    axis: op.int('axis', -1),
    keepdims: Number(op.flag('keep_dims')),
  });
}

function plusEpsilon(op: OnnxCall, otherwise: number): string {
  return op.step('Add', [op.operand('x'), scalarOf(op, 'epsilon', otherwise)]);
}

function scalarOf(op: OnnxCall, parameter: string, otherwise: number): string {
  return op.scalar(op.float(parameter, otherwise));
}

/** (x − mean) / √(variance + ε) over some axes, with the biased variance, then · gamma + beta. */
function normalise(op: OnnxCall, axes: readonly number[], shaped: (parameter: string) => string): void {
  const over = op.write.int64s(axes);
  const mean = op.step('ReduceMean', [op.operand('x'), over], { keepdims: 1 });
  const centred = op.step('Sub', [op.operand('x'), mean]);
  const variance = op.step('ReduceMean', [op.step('Mul', [centred, centred]), over], { keepdims: 1 });
  const deviation = op.step('Sqrt', [op.step('Add', [variance, scalarOf(op, 'epsilon', 1e-5)])]);
  affine(op, [centred, deviation], shaped);
}

/** A quotient, times gamma and plus beta where they are given. */
function affine(op: OnnxCall, quotient: readonly string[], shaped: (parameter: string) => string): void {
  const factor = op.has('gamma') ? [shaped('gamma')] : [];
  const summand = op.has('beta') ? [shaped('beta')] : [];
  const steps = [['Div', quotient] as const, ['Mul', factor] as const, ['Add', summand] as const];
  const wanted = steps.filter(([, operands]) => operands.length > 0);
  let value: string[] = [];
  for (const [index, [opType, operands]] of wanted.entries()) {
    const inputs = [...value, ...operands];
    if (index === wanted.length - 1) op.result(opType, inputs);
    else value = [op.step(opType, inputs)];
  }
}

/** Reshapes a parameter [C] to broadcast over the channels of x [N,C,…]. */
function perChannel(op: OnnxCall, parameter: string): string {
  const spatial = Array(op.axesBeyond('x', 2)).fill(1);
  return op.step('Reshape', [op.operand(parameter), op.write.int64s([-1, ...spatial])]);
}

function swapLastTwo(op: OnnxCall, parameter: string): string {
  const others = op.axesBeyond(parameter, 2);
  const perm = [...Array(others).keys(), others + 1, others];
  return op.step('Transpose', [op.operand(parameter)], { perm });
}

/** Rows added before and after each spatial axis. */
function spatialPads(
  op: OnnxCall,
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): (readonly [before: number, after: number])[] {
  const kind = op.text('pad_type', 'valid');
  const pad = op.ints('pad') ?? [];
  return kernel.map((size, axis) => {
    if (kind === 'valid') return [0, 0];
    if (kind === 'custom') return [pad[2 * axis] ?? 0, pad[2 * axis + 1] ?? 0];
    if (kind !== 'same' && kind !== 'same_lower') throw op.refuse(`its pad_type is ${kind}`);
    const [stride = 1, dilation = 1] = [strides[axis], dilations[axis]];
    const input = op.sizeOf('x', axis + 2);
    const reach = (size - 1) * dilation + 1;
    const total = Math.max(0, (Math.ceil(input / stride) - 1) * stride + reach - input);
    const less = Math.floor(total / 2);
    return kind === 'same' ? [less, total - less] : [total - less, less];
  });
}
