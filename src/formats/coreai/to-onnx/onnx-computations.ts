import { dataTypes } from '../../onnx/proto.ts';
import type { Element } from '../program.ts';
import type { OnnxCall, OnnxLowering } from './onnx-call.ts';

/**
 * The operations of Core AI that compute new numbers, in ONNX's standard operators of opset 21; composite ones that are not here
 * are computed as they decompose. Those that only move numbers are in `onnx-movements.ts`.
 */
export const computations: Readonly<Record<string, OnnxLowering>> = {
  ...unaries({
    abs: 'Abs',
    cos: 'Cos',
    erf: 'Erf',
    exp: 'Exp',
    log: 'Log',
    not: 'Not',
    sin: 'Sin',
    sqrt: 'Sqrt',
    tanh: 'Tanh',
  }),
  ...binaries({
    add: 'Add',
    sub: 'Sub',
    mul: 'Mul',
    divide: 'Div',
    pow: 'Pow',
    maximum: 'Max',
    minimum: 'Min',
    equal: 'Equal',
    greater: 'Greater',
  }),
  ...reductions({ sum: 'ReduceSum', mean: 'ReduceMean', max: 'ReduceMax', min: 'ReduceMin' }),

  'primitive.rsqrt_v1': (op) => op.result('Reciprocal', [op.step('Sqrt', [op.operand(0)])]),
  relu_v1: (op) => op.result('Relu', [op.operand(0)]),
  sigmoid_v1: (op) => op.result('Sigmoid', [op.operand(0)]),
  silu_v1: (op) => op.result('Mul', [op.operand(0), op.step('Sigmoid', [op.operand(0)])]),

  'primitive.gelu_v1'(op) {
    op.result('Gelu', [op.operand(0)], { approximate: op.choice('gelu') === 1 ? 'tanh' : 'none' });
  },

  'primitive.batch_matmul_v1': (op) => op.result('MatMul', op.operands()),
  broadcasting_batch_matmul_v1: (op) => op.result('MatMul', op.operands()),

  /** x, weight [O,I/groups,h,w], strides, dilations, groups; what is padded is so before. */
  'primitive.conv2d_v1'(op) {
    op.result('Conv', [op.operand(0), op.operand(1)], {
      kernel_shape: op.shapeOf(1).slice(2),
      strides: op.numbers(2),
      dilations: op.numbers(3),
      group: op.number(4),
    });
  },

  softmax_v1: (op) => op.result('Softmax', [op.operand(0)], { axis: op.number(1) }),
  argmax_v1: (op) => op.result('ArgMax', [op.operand(0)], { axis: op.number(1), keepdims: 1 }),

  /** Fractions are cut off to whole numbers; whole numbers wrap around. */
  'primitive.cast_v1'(op) {
    const { element } = op.resultType();
    const narrow = narrowIntegers[element];
    const to = /^[iu]\d/.test(element) ? dataTypes.i64 : element === 'bool' ? dataTypes.bool : dataTypes.f32;
    if (narrow === undefined) return op.result('Cast', [op.operand(0)], { to });
    const whole = op.step('Cast', [op.operand(0)], { to: dataTypes.i64 });
    op.result('Cast', [op.step('Cast', [whole], { to: narrow })], { to: dataTypes.i64 });
  },

  'primitive.range_v1': (op) => op.result('Range', op.operands()),
};

/** Operations that apply masks: their constants may be −∞ on purpose, and so their results. */
export function mayMask(operation: string): boolean {
  return /(add|sub|mul|divide|maximum|minimum|where)_v1$/.test(operation);
}

const narrowIntegers: { readonly [E in Element]?: number } = {
  i8: dataTypes.i8,
  i16: dataTypes.i16,
  u8: dataTypes.u8,
  u16: dataTypes.u16,
  u32: dataTypes.u32,
};

function unaries(opTypes: Readonly<Record<string, string>>) {
  return rows(opTypes, (name, opType) => [
    [`primitive.${name}_v1`, (op: OnnxCall) => op.result(opType, [op.operand(0)])],
  ]);
}

/** Of equal shapes, and those that broadcast. */
function binaries(opTypes: Readonly<Record<string, string>>) {
  return rows(opTypes, (name, opType) => {
    const lowering = (op: OnnxCall) => op.result(opType, [op.operand(0), op.operand(1)]);
    return [`primitive.${name}_v1`, `broadcasting_${name}_v1`].map((each) => [each, lowering]);
  });
}

/** Sizes of what is reduced become 1. */
function reductions(opTypes: Readonly<Record<string, string>>) {
  return rows(opTypes, (name, opType) => [
    [
      `reduce_${name}_v1`,
      (op: OnnxCall) => op.result(opType, [op.operand(0), op.write.int64s(op.numbers(1))], { keepdims: 1 }),
    ],
  ]);
}

function rows(
  opTypes: Readonly<Record<string, string>>,
  lowerings: (name: string, opType: string) => readonly (readonly [string, OnnxLowering])[],
): Record<string, OnnxLowering> {
  return Object.fromEntries(Object.entries(opTypes).flatMap(([name, opType]) => lowerings(name, opType)));
}
