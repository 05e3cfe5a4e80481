import { broadcast as broadcastShapes } from '../../../graph/misfit.ts';
import { sameShape } from '../../../graph/shape.ts';
import { type FixedType, type FixedValue, type OperationWriter, tensorType } from './operation-writer.ts';

/**
 * Composite operations: they have a decomposition into others, which a runtime computes that does not know them.
 */

/** Operations of two values that broadcast as NumPy does. */
export type Pairwise = 'add' | 'sub' | 'mul' | 'divide' | 'maximum' | 'equal' | 'greater';

/** Records an operation of two values: the primitive one where their shapes are equal. */
export function pairwise(write: OperationWriter, kind: Pairwise, a: FixedValue, b: FixedValue): FixedValue {
  const shape = broadcastShapes(a.type.shape, b.type.shape).map(Number);
  const type = tensorType(kind === 'equal' || kind === 'greater' ? 'bool' : a.type.element, shape);
  const primitive = `primitive.${kind}_v1`;
  if (sameShape(a.type.shape, shape) && sameShape(b.type.shape, shape))
    return write.operation(primitive, [a, b], type);
  return write.composite(`broadcasting_${kind}_v1`, [a, b], type, (inner, operands) =>
    inner.operation(
      primitive,
      operands.map((operand) => broadcast(inner, operand, shape)),
      type,
    ),
  );
}

/** x and one number. */
export function withNumber(
  write: OperationWriter,
  kind: Pairwise,
  x: FixedValue,
  number: number,
): FixedValue {
  return pairwise(write, kind, x, write.filled(tensorType(x.type.element, []), number));
}

/** Product of matrices in the last two axes; the others broadcast. */
export function matrixProduct(write: OperationWriter, a: FixedValue, b: FixedValue): FixedValue {
  const [left, right] = [a.type.shape, b.type.shape];
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2)).map(Number);
  const ends = { left: left.slice(-2), right: right.slice(-2) };
  const type = tensorType(a.type.element, [...batch, ends.left[0] ?? 0, ends.right[1] ?? 0]);
  const primitive = 'primitive.batch_matmul_v1';
  const isPlain = sameShape(left, [...batch, ...ends.left]) && sameShape(right, [...batch, ...ends.right]);
  if (isPlain && batch.length > 0) return write.operation(primitive, [a, b], type);
  return write.composite('broadcasting_batch_matmul_v1', [a, b], type, (inner, [x, y]) => {
    if (!x || !y) throw new Error('a product has two operands');
    const rows = broadcast(inner, x, [...batch, ...ends.left]);
    return inner.operation(primitive, [rows, broadcast(inner, y, [...batch, ...ends.right])], type);
  });
}

/** Reductions of one axis or several, whose sizes become 1. */
export type Reduction = 'sum' | 'max' | 'mean';

export function reduce(
  write: OperationWriter,
  kind: Reduction,
  x: FixedValue,
  axes: readonly number[],
): FixedValue {
  const { element, shape } = x.type;
  const type = tensorType(
    element,
    shape.map((size, axis) => (axes.includes(axis) ? 1 : size)),
  );
  const operands = [x, write.i32s(...axes)];
  return write.composite(`reduce_${kind}_v1`, operands, type, (inner, [given, over]) => {
    if (!given || !over) throw new Error('a reduction has two operands');
    if (kind !== 'mean') return plainReduction(inner, kind, [given, over], type);
    const sum = plainReduction(inner, 'sum', [given, over], type);
    const count = axes.reduce((product, axis) => product * (shape[axis] ?? 1), 1);
    return inner.operation('primitive.divide_v1', [sum, inner.filled(type, count)], type);
  });
}

/** The reduction that only decompositions may have: by an operation of two numbers, from a number on. */
function plainReduction(
  write: OperationWriter,
  kind: 'sum' | 'max',
  [x, axes]: readonly [FixedValue, FixedValue],
  type: FixedType,
): FixedValue {
  const one = tensorType(type.element, []);
  const least = type.element === 'i32' ? -(2 ** 31) : Number.NEGATIVE_INFINITY;
  const start = write.filled(one, kind === 'sum' ? 0 : least);
  const [a, b] = [{ type: one }, { type: one }];
  const result = { type: one };
  const name = kind === 'sum' ? 'primitive.add_v1' : 'primitive.maximum_v1';
  const operations = [
    { name, operands: [a, b], results: [result], properties: [], regions: [] },
    { name: 'dataflow.yield_v1', operands: [result], results: [], properties: [], regions: [] },
  ];
  const regions = [{ arguments: [a, b], operations }];
  return write.operation('primitive.reduce_v1', [x, axes, start], type, { regions });
}

export function softmax(write: OperationWriter, x: FixedValue, axis: number): FixedValue {
  const { type } = x;
  return write.composite('softmax_v1', [x, write.i32(axis)], type, (inner, [given]) => {
    if (!given) throw new Error('a softmax has an operand');
    const most = broadcast(inner, reduce(inner, 'max', given, [axis]), type.shape);
    const powers = inner.operation(
      'primitive.exp_v1',
      [inner.operation('primitive.sub_v1', [given, most], type)],
      type,
    );
    const sum = broadcast(inner, reduce(inner, 'sum', powers, [axis]), type.shape);
    return inner.operation('primitive.divide_v1', [powers, sum], type);
  });
}

/** Functions of each element that are composite. */
export type Activation = 'sigmoid' | 'silu' | 'relu';

export function activation(write: OperationWriter, kind: Activation, x: FixedValue): FixedValue {
  return write.composite(`${kind}_v1`, [x], x.type, (inner, [given]) => {
    if (!given) throw new Error(`${kind} has an operand`);
    const { type } = given;
    const pair = (name: 'mul' | 'add' | 'divide' | 'maximum', a: FixedValue, b: FixedValue): FixedValue =>
      inner.operation(`primitive.${name}_v1`, [a, b], type);
    if (kind === 'relu') return pair('maximum', given, inner.filled(type, 0));
    const power = inner.operation('primitive.exp_v1', [pair('mul', given, inner.filled(type, -1))], type);
    const below = pair('add', power, inner.filled(type, 1));
    return pair('divide', kind === 'silu' ? given : inner.filled(type, 1), below);
  });
}

/** The value in a shape that it broadcasts to. */
export function broadcast(write: OperationWriter, x: FixedValue, shape: readonly number[]): FixedValue {
  const missing = shape.length - x.type.shape.length;
  const aligned = write.reshape(x, [...Array<number>(missing).fill(1), ...x.type.shape]);
  const axes = [...shape.keys()].filter((axis) => aligned.type.shape[axis] !== shape[axis]);
  if (axes.length === 0) return aligned;
  const sizes = axes.map((axis) => shape[axis] ?? 0);
  const operands = [aligned, write.u32s(...sizes), write.i32s(...axes)];
  return write.operation('primitive.broadcast_in_dims_v1', operands, tensorType(x.type.element, shape));
}
