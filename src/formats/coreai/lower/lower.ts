import { bindDim } from '../../../graph/dim.ts';
import type { OpKind, OpOf } from '../../../graph/op.ts';
import { isFixed } from '../../../graph/shape.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { byteSize, type DType } from '../../../weights/dtype.ts';
import { streamIn } from '../../../weights/tensor-stream.ts';
import type { Attribute, Element } from '../program.ts';
import { activation, broadcast, matrixProduct, pairwise, reduce, softmax, withNumber } from './composites.ts';
import type { DeclaredGraphs } from './declared-graphs.ts';
import { einsum } from './einsum.ts';
import { type FixedType, type FixedValue, type OperationWriter, tensorType } from './operation-writer.ts';

/** A place where operations are recorded. */
export interface Place {
  readonly write: OperationWriter;
  readonly declared: DeclaredGraphs;
  /** The value of a vector in another shape: a constant itself where it is one. */
  readonly shaped: (tensor: Tensor, shape: readonly number[]) => FixedValue;
}

/** Records the operations that compute `tensor`, of type `type`; `operands` are the values that it reads. */
type Lowering<K extends OpKind> = (
  place: Place,
  op: OpOf<K>,
  operands: Operands,
  tensor: Tensor & { readonly type: FixedType },
) => FixedValue;

type Operands = readonly FixedValue[];

/** One lowering an operation: in the forms that Apple's exporter writes, where it has one. */
const lowerings: { readonly [K in OpKind]: Lowering<K> } = {
  input: (_, __, ___, { name }) => {
    throw new Error(`${name} is an input: nothing computes it`);
  },
  weight: ({ write }, { weight }, _, { type, dtype }) => {
    const stream = streamIn(weight, dtype);
    return write.stored(type, { name: weight.name, byteLength: byteSize(type.shape, dtype), stream });
  },
  constant: ({ write }, { data }, _, { type, name }) => write.numbers(type, data, name),

  /** Neither padding nor bias is part of the operation. */
  conv2d({ write, shaped }, { stride, pads }, operands, { type, inputs: [, , bias] }) {
    const [x, weight] = two(operands);
    const { element, shape } = type;
    const sides = [0, 0, 0, 0, pads.top, pads.bottom, pads.left, pads.right];
    const padded = sides.some((size) => size > 0)
      ? pad(write, x, sides, write.filled(tensorType(element, []), 0))
      : x;
    const options = [write.u32s(stride, stride), write.u32s(1, 1), write.u32(1)];
    const product = write.operation('primitive.conv2d_v1', [padded, weight, ...options], type);
    return bias ? pairwise(write, 'add', product, shaped(bias, [1, shape[1] ?? 0, 1, 1])) : product;
  },

  /** The weight stays [O,I], as it is stored: compression in blocks goes along its last axis. */
  linear({ write }, _, operands) {
    const [x, weight, bias] = [...two(operands), operands[2]];
    const product = matrixProduct(write, x, write.transpose(weight, [1, 0]));
    return bias ? pairwise(write, 'add', product, bias) : product;
  },

  matmul({ write }, { transposeA, transposeB }, operands) {
    const [a, b] = two(operands);
    const read = (x: FixedValue, swap: boolean): FixedValue => (swap ? write.transpose(x, swapped(x)) : x);
    return matrixProduct(write, read(a, transposeA), read(b, transposeB));
  },

  einsum: ({ write }, { equation }, operands) => einsum(write, equation, two(operands)),
  add: ({ write }, _, operands) => pairwise(write, 'add', ...two(operands)),
  mul: ({ write }, _, operands) => pairwise(write, 'mul', ...two(operands)),
  equal: ({ write }, _, operands) => pairwise(write, 'equal', ...two(operands)),
  greater: ({ write }, _, operands) => pairwise(write, 'greater', ...two(operands)),
  relu: ({ write }, _, operands) => activation(write, 'relu', one(operands)),
  silu: ({ write }, _, operands) => activation(write, 'silu', one(operands)),
  sigmoid: ({ write }, _, operands) => activation(write, 'sigmoid', one(operands)),
  gelu: ({ write }, _, operands, { type }) =>
    write.operation('primitive.gelu_v1', operands, type, {
      properties: [{ kind: 'choice', of: 'gelu', value: 0 }],
    }),
  tanh: ({ write }, _, operands, { type }) => write.operation('primitive.tanh_v1', operands, type),
  sin: ({ write }, _, operands, { type }) => write.operation('primitive.sin_v1', operands, type),
  cos: ({ write }, _, operands, { type }) => write.operation('primitive.cos_v1', operands, type),
  softmax: ({ write }, { axis }, operands, { type }) => softmax(write, one(operands), fromStart(type, axis)),
  group_norm: ({ write, declared }, op, operands) => declared.groupNorm(write, three(operands), op),
  layer_norm: ({ write, declared }, { axis, epsilon }, operands, { type }) =>
    declared.layerNorm(write, three(operands), { axis: fromStart(type, axis), epsilon }),

  /** In float32: the squares of numbers above 255 leave float16's range. */
  rms_norm({ write }, { axis, epsilon }, operands, { type }) {
    const x = write.cast(one(operands), 'f32');
    const mean = reduce(write, 'mean', pairwise(write, 'mul', x, x), [fromStart(type, axis)]);
    const shifted = withNumber(write, 'add', mean, epsilon);
    const factor = write.operation('primitive.rsqrt_v1', [shifted], shifted.type);
    return write.cast(pairwise(write, 'mul', x, factor), type.element);
  },

  normalize({ write }, _, operands, { type }) {
    const [x, epsilon] = two(operands);
    const sum = reduce(write, 'sum', pairwise(write, 'mul', x, x), [type.shape.length - 1]);
    const length = write.operation('primitive.sqrt_v1', [sum], sum.type);
    return pairwise(write, 'divide', x, pairwise(write, 'maximum', length, epsilon));
  },

  reduce_max: ({ write }, { axis }, operands) => reduce(write, 'max', one(operands), [axis]),
  reshape: ({ write }, _, operands, { type }) => write.reshape(one(operands), type.shape),
  reshape_like: ({ write }, _, [x], { type }) => write.reshape(one(x ? [x] : []), type.shape),
  transpose: ({ write }, { perm }, operands) => write.transpose(one(operands), perm),
  concat: ({ write }, { axis }, operands, { type }) =>
    write.operation('primitive.concat_v1', [write.i32(axis), ...operands], type),

  slice({ write }, { axis, start, end }, operands, { type: { element, shape } }) {
    const x = one(operands);
    const first = shape.map((_, at) => (at === axis ? bindDim(start, {}) : 0));
    const stop = x.type.shape.map((size, at) => (at === axis ? bindDim(end, {}) : size));
    const bounds = [first, stop, shape.map(() => 1)].map((each) => write.i32s(...each));
    return write.operation('primitive.slice_v1', [x, ...bounds], tensorType(element, shape));
  },

  pad({ write }, { axis, before, after }, operands) {
    const [x, value] = two(operands);
    return pad(
      write,
      x,
      x.type.shape.flatMap((_, at) => (at === axis ? [before, after] : [0, 0])),
      value,
    );
  },

  cast: ({ write }, { to }, operands) => write.cast(one(operands), elementOf(to)),

  /** As broadcasting, not as `interpolate`, which runs on the CPU. */
  upsample_nearest({ write }, { scale }, operands, { type }) {
    const x = one(operands);
    const [batch = 0, channels = 0, height = 0, width = 0] = x.type.shape;
    const apart = write.reshape(x, [batch, channels, height, 1, width, 1]);
    return write.reshape(broadcast(write, apart, [batch, channels, height, scale, width, scale]), type.shape);
  },

  embedding({ write }, _, operands, { type }) {
    const [table, indices] = two(operands);
    const rows = write.reshape(write.cast(indices, 'i32'), [...indices.type.shape, 1]);
    return write.operation('primitive.gather_nd_v1', [table, rows], type);
  },

  argmax({ write }, _, operands, { type }) {
    return write.cast(argmax(write, one(operands)), type.element);
  },

  gather_nd({ write }, _, operands, { type }) {
    const [x, index] = two(operands);
    const [batch = 0] = x.type.shape;
    const rows = write.numbers(tensorType('i32', [batch, 1]), [...Array(batch).keys()]);
    const pairs = write.operation(
      'primitive.concat_v1',
      [write.i32(1), rows, write.cast(index, 'i32')],
      tensorType('i32', [batch, 2]),
    );
    return write.operation('primitive.gather_nd_v1', [x, pairs], type);
  },
};

/** Records the operations of a tensor that is no input; `operands` are the values that it reads. */
export function lower(place: Place, tensor: Tensor, operands: Operands): FixedValue {
  // Each lowering takes its own kind of operation; indexing by `op.kind` pairs them, which the compiler cannot follow.
  const lowering = lowerings[tensor.op.kind] as Lowering<OpKind>;
  return lowering(place, tensor.op, operands, { ...tensor, type: typeOfTensor(tensor) });
}

/** The type of a tensor's value. Throws `Error` for a free size: these programs have fixed ones. */
export function typeOfTensor({ name, dtype, shape }: Pick<Tensor, 'name' | 'dtype' | 'shape'>): FixedType {
  if (!isFixed(shape)) throw new Error(`${name} has a size that is not fixed`);
  return tensorType(elementOf(dtype), shape);
}

/** Positions are i64 in graphs, and 32 bits long in programs. */
function elementOf(dtype: DType): Element {
  switch (dtype) {
    case 'f32':
    case 'f16':
    case 'i32':
    case 'bool':
      return dtype;
    case 'i64':
      return 'i32';
    default:
      throw new Error(`no network computes with ${dtype}`);
  }
}

function pad(write: OperationWriter, x: FixedValue, sides: readonly number[], value: FixedValue): FixedValue {
  const { element, shape } = x.type;
  const sizes = shape.map((size, axis) => size + (sides[2 * axis] ?? 0) + (sides[2 * axis + 1] ?? 0));
  const properties: Attribute[] = [{ kind: 'choice', of: 'padding', value: 1 }];
  return write.operation('primitive.pad_v1', [x, write.u32s(...sides), value], tensorType(element, sizes), {
    properties,
  });
}

/** The position of the first largest element of each row: the least position at which the largest is. */
function argmax(write: OperationWriter, x: FixedValue): FixedValue {
  const [rows = 0, columns = 0] = x.type.shape;
  const type = tensorType('u32', [rows, 1]);
  return write.composite('argmax_v1', [x, write.i32(1)], type, (inner, operands) => {
    const given = one(operands.slice(0, 1));
    const most = broadcast(inner, reduce(inner, 'max', given, [1]), [rows, columns]);
    const isMost = pairwise(inner, 'equal', given, most);
    // Counted from the end, so that the largest is the first.
    const places = tensorType('i32', [rows, columns]);
    const fromEnd = Array.from({ length: rows * columns }, (_, at) => columns - (at % columns));
    const chosen = inner.operation(
      'primitive.where_v1',
      [isMost, inner.numbers(places, fromEnd), inner.filled(places, 0)],
      places,
    );
    const last = reduce(inner, 'max', chosen, [1]);
    const first = pairwise(inner, 'sub', inner.filled(last.type, columns), last);
    return inner.cast(first, 'u32');
  });
}

function swapped({ type: { shape } }: FixedValue): number[] {
  const rank = shape.length;
  return [...shape.keys()].map((axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
}

function fromStart({ shape }: FixedType, axis: number): number {
  return axis < 0 ? axis + shape.length : axis;
}

function one([x]: Operands): FixedValue {
  if (!x) throw new Error('an operand is missing');
  return x;
}

function two([a, b]: Operands): [FixedValue, FixedValue] {
  if (!a || !b) throw new Error('an operand is missing');
  return [a, b];
}

function three([a, b, c]: Operands): [FixedValue, FixedValue, FixedValue] {
  if (!a || !b || !c) throw new Error('an operand is missing');
  return [a, b, c];
}
