import { dataTypes } from '../../onnx/proto.ts';
import type { OnnxCall, OnnxLowering } from './onnx-call.ts';

/**
 * The operations of ML Programs that only move, repeat or choose numbers, in ONNX's standard operators of opset 21. Their
 * results need no rounding: their inputs are rounded.
 */
export const movements: Readonly<Record<string, OnnxLowering>> = {
  identity: (op) => op.result('Identity', [op.operand('x')]),

  /** A size may be −1 (the rest) or, for equal ranks, 0 (as in x), as in ONNX. */
  reshape: (op) => op.result('Reshape', [op.operand('x'), op.operand('shape')]),

  transpose(op) {
    const rank = op.rankOf('x');
    op.result('Transpose', [op.operand('x')], {
      perm: ints(op, 'perm').map((axis) => fromStart(axis, rank)),
    });
  },

  expand_dims: (op) => op.result('Unsqueeze', [op.operand('x'), op.write.int64s(ints(op, 'axes'))]),

  squeeze(op) {
    const axes = op.ints('axes');
    op.result('Squeeze', [op.operand('x'), ...(axes ? [op.write.int64s(axes)] : [])]);
  },

  split(op) {
    const axis = op.int('axis', 0);
    const sizes = op.ints('split_sizes') ?? evenParts(op, op.sizeOf('x', axis));
    let start = 0;
    for (const [index, size] of sizes.entries()) {
      const range = [[start], [start + size], [axis]].map((each) => op.write.int64s(each));
      op.result('Slice', [op.operand('x'), ...range], {}, index);
      start += size;
    }
  },

  /** Scalars become a vector. */
  concat(op) {
    if (op.flag('interleave')) throw op.refuse('it interleaves');
    const values = op.operands('values');
    const areScalars = op.rankOf('values') === 0;
    const parts = areScalars
      ? values.map((each) => op.step('Unsqueeze', [each, op.write.int64s([0])]))
      : values;
    op.result('Concat', parts, { axis: op.int('axis', 0) });
  },

  stack(op) {
    const axis = op.int('axis', 0);
    const rank = op.resultType().shape.length;
    const parts = op
      .operands('values')
      .map((value) => op.step('Unsqueeze', [value, op.write.int64s([axis])]));
    op.result('Concat', parts, { axis: fromStart(axis, rank) });
  },

  tile: (op) => op.result('Tile', [op.operand('x'), op.operand('reps')]),

  reverse(op) {
    const axes = op.ints('axes') ?? [...Array(op.rankOf('x')).keys()];
    const [last, beyond, backwards] = [-1, -FAR, -1].map((each) => op.write.int64s(axes.map(() => each)));
    op.result('Slice', [op.operand('x'), last ?? '', beyond ?? '', op.write.int64s(axes), backwards ?? '']);
  },

  /** Sizes for the last axes, before and after each. */
  pad(op) {
    const modes: Readonly<Record<string, string>> = {
      constant: 'constant',
      reflect: 'reflect',
      replicate: 'edge',
    };
    const mode = op.text('mode', 'constant');
    if (!Object.hasOwn(modes, mode)) throw op.refuse(`its mode is ${mode}`);
    const pad = ints(op, 'pad');
    const others = Array(op.axesBeyond('x', pad.length / 2)).fill(0);
    const [before, after] = [0, 1].map((side) => [
      ...others,
      ...pad.filter((_, index) => index % 2 === side),
    ]);
    const sizes = op.write.int64s([...(before ?? []), ...(after ?? [])]);
    const value = op.scalar(op.float('constant_val', 0));
    op.result('Pad', [op.operand('x'), sizes, value], { mode: modes[mode] ?? '' });
  },

  /** Slices as Python does; an axis of `squeeze_mask` keeps one element and is removed. */
  slice_by_index(op) {
    const rank = op.rankOf('x');
    const steps = op.ints('stride') ?? Array<number>(rank).fill(1);
    const squeezed = op.flags('squeeze_mask', rank);
    const starts = boundary(
      op,
      'begin',
      op.flags('begin_mask', rank),
      steps.map((step) => (step > 0 ? 0 : FAR)),
    );
    const whole = op.flags('end_mask', rank);
    const ends = squeezed.includes(true)
      ? endsOfSingles(op, squeezed, whole)
      : boundary(
          op,
          'end',
          whole,
          steps.map((step) => (step > 0 ? FAR : -FAR)),
        );
    const axes = op.write.int64s([...Array(rank).keys()]);
    const strides = steps.map((step, axis) => (squeezed[axis] ? 1 : step));
    const inputs = [op.operand('x'), starts, ends, axes, op.write.int64s(strides)];
    if (!squeezed.includes(true)) return op.result('Slice', inputs);
    const gone = squeezed.flatMap((drop, axis) => (drop ? [axis] : []));
    op.result('Squeeze', [op.step('Slice', inputs), op.write.int64s(gone)]);
  },

  /** A size of −1 is the rest. */
  slice_by_size(op) {
    const begin = ints(op, 'begin');
    const ends = ints(op, 'size').map((size, axis) => {
      const start = begin[axis] ?? 0;
      return size === -1 || (start < 0 && start + size >= 0) ? FAR : start + size;
    });
    const axes = op.write.int64s([...begin.keys()]);
    op.result('Slice', [op.operand('x'), op.write.int64s(begin), op.write.int64s(ends), axes]);
  },

  gather(op) {
    if (op.int('batch_dims', 0) !== 0) throw op.refuse('it has batch_dims');
    op.result('Gather', [op.operand('x'), op.operand('indices')], { axis: op.int('axis', 0) });
  },

  gather_along_axis(op) {
    op.result('GatherElements', [op.operand('x'), op.operand('indices')], { axis: op.int('axis', 0) });
  },

  gather_nd(op) {
    op.result('GatherND', [op.operand('x'), op.operand('indices')], { batch_dims: op.int('batch_dims', 0) });
  },

  /** ONNX's Where does not select booleans, so they become numbers on the way. */
  select(op) {
    const [cond, a, b] = [op.operand('cond'), op.operand('a'), op.operand('b')];
    if (op.resultType().dtype !== 'bool') return op.result('Where', [cond, a, b]);
    const [one, other] = [a, b].map((each) => op.step('Cast', [each], { to: dataTypes.i64 }));
    const chosen = op.step('Where', [cond, one ?? '', other ?? '']);
    op.result('Cast', [chosen], { to: dataTypes.bool });
  },

  fill: (op) => op.result('Expand', [valueToFill(op), op.operand('shape')]),
  fill_like: (op) => op.result('Expand', [valueToFill(op), op.step('Shape', [op.operand('ref_tensor')])]),
  shape: (op) => op.result('Shape', [op.operand('x')]),

  /** One row for each element that is not 0; ONNX gives one column. */
  non_zero: (op) => op.result('Transpose', [op.step('NonZero', [op.operand('x')])], { perm: [1, 0] }),

  upsample_nearest_neighbor(op) {
    const factors = [op.float('scale_factor_height', 1), op.float('scale_factor_width', 1)];
    if (!factors.every(Number.isInteger)) throw op.refuse('it enlarges by a fraction');
    const scales = op.write.float32s([...Array(op.axesBeyond('x', 2)).fill(1), ...factors]);
    const attributes = {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    };
    op.result('Resize', [op.operand('x'), '', scales], attributes);
  },

  pixel_shuffle(op) {
    op.result('DepthToSpace', [op.operand('x')], { blocksize: op.int('upscale_factor', 1), mode: 'CRD' });
  },

  depth_to_space(op) {
    op.result('DepthToSpace', [op.operand('x')], { blocksize: op.int('block_size', 1), mode: 'DCR' });
  },

  space_to_depth(op) {
    op.result('SpaceToDepth', [op.operand('x')], { blocksize: op.int('block_size', 1) });
  },
};

/** Beyond the end of every axis; ONNX cuts it back. */
const FAR = 2 ** 31 - 1;

function ints(op: OnnxCall, parameter: string): readonly number[] {
  const values = op.ints(parameter);
  if (!values) throw op.refuse(`it has no ${parameter}`);
  return values;
}

/** Starts or ends of slices: the parameter, or `open` where the mask is set. It may be computed when the model runs. */
function boundary(
  op: OnnxCall,
  parameter: string,
  mask: readonly boolean[],
  open: readonly number[],
): string {
  if (op.isConstant(parameter)) {
    return op.write.int64s(
      ints(op, parameter).map((value, axis) => (mask[axis] ? (open[axis] ?? 0) : value)),
    );
  }
  if (!mask.includes(true)) return op.operand(parameter);
  const masked = op.step('Cast', [op.write.int64s(mask.map(Number))], { to: dataTypes.bool });
  return op.step('Where', [masked, op.write.int64s(open), op.operand(parameter)]);
}

/** Ends where some axes keep one element: the one at `begin`. */
function endsOfSingles(op: OnnxCall, squeezed: readonly boolean[], whole: readonly boolean[]): string {
  const begin = ints(op, 'begin');
  const steps = op.ints('stride') ?? [];
  const first = op.flags('begin_mask', squeezed.length);
  const ends = ints(op, 'end').map((end, axis) => {
    const start = first[axis] ? 0 : (begin[axis] ?? 0);
    if (squeezed[axis]) return start === -1 ? FAR : start + 1;
    if (whole[axis]) return (steps[axis] ?? 1) > 0 ? FAR : -FAR;
    return end;
  });
  return op.write.int64s(ends);
}

function evenParts(op: OnnxCall, size: number): number[] {
  const count = op.resultCount;
  if (size % count !== 0) throw op.refuse(`${size} is not cut evenly into ${count}`);
  return Array(count).fill(size / count);
}

function valueToFill(op: OnnxCall): string {
  return op.has('value') ? op.operand('value') : op.scalar(0);
}

function fromStart(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
