import { dataTypes } from '../../onnx/proto.ts';
import type { OnnxLowering } from './onnx-call.ts';

/**
 * The operations of Core AI that only move, repeat or choose numbers, in ONNX's standard operators of opset 21. Their results
 * need no rounding: their inputs are rounded.
 */
export const movements: Readonly<Record<string, OnnxLowering>> = {
  'primitive.reshape_v2'(op) {
    const isFixed = op.resultType().shape.every((size) => size !== undefined);
    op.result('Reshape', [op.operand(0), isFixed ? op.write.int64s(op.resultShape()) : op.operand(1)]);
  },

  'primitive.transpose_v1': (op) => op.result('Transpose', [op.operand(0)], { perm: op.numbers(1) }),

  /** The axis comes first. */
  'primitive.concat_v1'(op) {
    const axis = op.number(0);
    op.result('Concat', op.operands(1), { axis });
  },

  'primitive.broadcast_in_dims_v1': (op) =>
    op.result('Expand', [op.operand(0), op.write.int64s(op.resultShape())]),
  'primitive.broadcast_to_v1': (op) =>
    op.result('Expand', [op.operand(0), op.write.int64s(op.resultShape())]),

  'primitive.slice_v1'(op) {
    const [starts, ends, steps] = [1, 2, 3].map((at) => op.write.int64s(op.numbers(at)));
    const axes = op.write.int64s([...Array(op.rankOf(0)).keys()]);
    op.result('Slice', [op.operand(0), starts ?? '', ends ?? '', axes, steps ?? '']);
  },

  'primitive.split_v1'(op) {
    const axis = op.number(2);
    let start = 0;
    for (const [index, size] of op.numbers(1).entries()) {
      const range = [[start], [start + size], [axis]].map((each) => op.write.int64s(each));
      op.result('Slice', [op.operand(0), ...range], {}, index);
      start += size;
    }
  },

  /** Sizes before and after each axis, and what is put there. */
  'primitive.pad_v1'(op) {
    const mode = paddings[op.choice('padding')];
    if (!mode) throw op.refuse(`it pads in the way of number ${op.choice('padding')}`);
    const sides = op.numbers(1);
    const [before, after] = [0, 1].map((side) => sides.filter((_, index) => index % 2 === side));
    const sizes = op.write.int64s([...(before ?? []), ...(after ?? [])]);
    op.result('Pad', [op.operand(0), sizes, op.operand(2)], { mode });
  },

  /** x, sizes, scales, offsets: Apple's exporter enlarges pictures so. */
  'primitive.interpolate_v1'(op) {
    const sizes = op.resultShape();
    const scales = op.shapeOf(0).map((size, axis) => (sizes[axis] ?? 0) / size);
    const isPlain = op.choice('interpolation') === NEAREST && op.fractions(3).every((offset) => offset === 0);
    if (!isPlain || !scales.every(Number.isInteger)) throw op.refuse('it does more than repeat elements');
    const attributes = {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    };
    op.result('Resize', [op.operand(0), '', op.write.float32s(scales)], attributes);
  },

  'primitive.gather_nd_v1': (op) => op.result('GatherND', [op.operand(0), op.operand(1)]),

  /** ONNX's Where does not select booleans, so they become numbers on the way. */
  'primitive.where_v1'(op) {
    const [condition = '', a = '', b = ''] = op.operands();
    if (op.resultType().element !== 'bool') return op.result('Where', [condition, a, b]);
    const [one = '', other = ''] = [a, b].map((each) => op.step('Cast', [each], { to: dataTypes.i64 }));
    op.result('Cast', [op.step('Where', [condition, one, other])], { to: dataTypes.bool });
  },
};

/** The number of interpolation that takes the nearest element. */
const NEAREST = 1;

/** ONNX's names of the ways to pad, by their numbers in Core AI. */
const paddings: Readonly<Record<number, string>> = { 1: 'constant', 2: 'reflect' };
