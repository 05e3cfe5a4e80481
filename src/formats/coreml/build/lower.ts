import { bindDim } from '../../../graph/dim.ts';
import type { OpKind, OpOf } from '../../../graph/op.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { toMilDType } from '../mil/mil-dtype.ts';
import { bool, filled, fraction, int32, int32s, type Literal, text } from '../mil/mil-value.ts';
import type { MilWriter, Result } from './mil-writer.ts';

/** Writes the operations that give `result`, the value of `tensor`; `inputs` are the names of the values it reads. */
type Lowering<K extends OpKind> = (
  write: MilWriter,
  result: Result,
  op: OpOf<K>,
  inputs: readonly string[],
  tensor: Tensor,
) => void;

/**
 * One lowering an operation, in MIL's operations as of iOS 16. Core ML's parser knows no default values: every parameter
 * that has one is written. Before iOS 17 a parameter of fractions has the dtype of x.
 */
const lowerings: { readonly [K in OpKind]: Lowering<K> } = {
  input() {},
  weight: (write, result, { weight }, _, { dtype }) => write.weight(result, weight, dtype),
  constant: (write, result, { data }) => write.literal(result.name, { ...result, data: Array.from(data) }),

  conv2d(write, result, { stride, pads }, [x, weight, bias]) {
    const pad = [pads.top, pads.bottom, pads.left, pads.right];
    write.operation(
      'conv',
      {
        x,
        weight,
        bias,
        strides: int32s([stride, stride]),
        pad_type: text(pad.every((size) => size === 0) ? 'valid' : 'custom'),
        pad: int32s(pad),
        dilations: int32s([1, 1]),
        groups: int32(1),
      },
      result,
    );
  },

  linear(write, result, _, [x, weight, bias]) {
    const channels = result.shape.at(-1) ?? 0;
    write.operation('linear', { x, weight, bias: bias ?? filled(result.dtype, channels, 0) }, result);
  },

  matmul(write, result, { transposeA, transposeB }, [x, y]) {
    write.operation('matmul', { x, y, transpose_x: bool(transposeA), transpose_y: bool(transposeB) }, result);
  },

  einsum: (write, result, { equation }, values) =>
    write.operation('einsum', { values, equation: text(equation) }, result),
  add: (write, result, _, [x, y]) => write.operation('add', { x, y }, result),
  mul: (write, result, _, [x, y]) => write.operation('mul', { x, y }, result),
  equal: (write, result, _, [x, y]) => write.operation('equal', { x, y }, result),
  greater: (write, result, _, [x, y]) => write.operation('greater', { x, y }, result),
  relu: (write, result, _, [x]) => write.operation('relu', { x }, result),
  silu: (write, result, _, [x]) => write.operation('silu', { x }, result),
  sigmoid: (write, result, _, [x]) => write.operation('sigmoid', { x }, result),
  gelu: (write, result, _, [x]) => write.operation('gelu', { x, mode: text('EXACT') }, result),
  tanh: (write, result, _, [x]) => write.operation('tanh', { x }, result),
  sin: (write, result, _, [x]) => write.operation('sin', { x }, result),
  cos: (write, result, _, [x]) => write.operation('cos', { x }, result),
  softmax: (write, result, { axis }, [x]) =>
    write.operation('softmax', { x, axis: axisOf(result, axis) }, result),

  /**
   * The rows of a group lie behind each other, so that a group is a channel and instance_norm, which runs in one piece,
   * normalises it. Squares of a group's elements, as Apple's converter writes them, would leave float16's range above 255.
   */
  group_norm(write, result, { groups, epsilon }, [x, gamma, beta]) {
    const { dtype, shape } = result;
    const [batch = 0, channels = 0, height = 0, width = 0] = shape;
    const grouped = [batch, groups, (channels / groups) * height, width];
    const rows = write.step(result, 'groups', grouped, 'reshape', { x, shape: int32s(grouped) });
    const normed = write.step(result, 'normed', grouped, 'instance_norm', {
      x: rows,
      epsilon: fraction(dtype, epsilon),
    });
    const image = write.step(result, 'image', shape, 'reshape', { x: normed, shape: int32s(shape) });
    const [mean, variance] = [filled(dtype, channels, 0), filled(dtype, channels, 1)];
    write.operation(
      'batch_norm',
      { x: image, mean, variance, gamma, beta, epsilon: fraction(dtype, LOST_BESIDE_ONE) },
      result,
    );
  },

  layer_norm(write, result, { axis, epsilon }, [x, gamma, beta]) {
    const axes = int32s([fromStart(result, axis)]);
    write.operation('layer_norm', { x, axes, gamma, beta, epsilon: fraction(result.dtype, epsilon) }, result);
  },

  /**
   * The layer_norm of x and −x behind each other: their mean is 0 and their variance the mean square of x, so the first
   *half is the result, in one operation whose squares stay inside it. (ANEMLL does so for language models on the Neural
   * Engine.) As values of the program, squares of numbers above 255 would leave float16's range.
   */
  rms_norm(write, result, { axis, epsilon }, [x = '']) {
    const { dtype, shape } = result;
    const at = fromStart(result, axis);
    const doubled = shape.map((size, each) => (each === at ? 2 * size : size));
    const negative = write.step(result, 'negative', shape, 'mul', { x, y: fraction(dtype, -1) });
    const joined = { values: [x, negative], axis: int32(at), interleave: bool(false) };
    const mirrored = write.step(result, 'mirrored', doubled, 'concat', joined);
    const norm = { x: mirrored, axes: int32s([at]), epsilon: fraction(dtype, epsilon) };
    const normed = write.step(result, 'normed', doubled, 'layer_norm', norm);
    const begin = int32s(shape.map(() => 0));
    write.operation('slice_by_index', { x: normed, begin, end: int32s(shape) }, result);
  },

  normalize(write, result, _, [x, epsilon]) {
    const size = result.shape.at(-1) ?? 0;
    const one = [...result.shape.slice(0, -1), 1];
    const squares = write.step(result, 'squares', result.shape, 'mul', { x, y: x });
    // The sum as a product with ones: coremltools 9 fails to load a reduction of constants with NumPy 2.4.
    const weight = { ...filled(result.dtype, size, 1), shape: [1, size] };
    const bias = filled(result.dtype, 1, 0);
    const sum = write.step(result, 'sum', one, 'linear', { x: squares, weight, bias });
    const length = write.step(result, 'length', one, 'sqrt', { x: sum });
    const divisor = write.step(result, 'divisor', one, 'maximum', { x: length, y: epsilon });
    write.operation('real_div', { x, y: divisor }, result);
  },

  reduce_max: (write, result, { axis }, [x]) =>
    write.operation('reduce_max', { x, axes: int32s([axis]), keep_dims: bool(true) }, result),

  reshape: (write, result, _, [x]) => write.operation('reshape', { x, shape: int32s(result.shape) }, result),
  reshape_like: (write, result, _, [x]) =>
    write.operation('reshape', { x, shape: int32s(result.shape) }, result),
  transpose: (write, result, { perm }, [x]) =>
    write.operation('transpose', { x, perm: int32s(perm) }, result),

  concat(write, result, { axis }, values) {
    write.operation('concat', { values, axis: axisOf(result, axis), interleave: bool(false) }, result);
  },

  slice(write, result, { axis, start, end }, [x]) {
    const first = result.shape.map((_, at) => (at === axis ? bindDim(start, {}) : 0));
    const stop = result.shape.map((size, at) => (at === axis ? bindDim(end, {}) : size));
    write.operation('slice_by_index', { x, begin: int32s(first), end: int32s(stop) }, result);
  },

  pad(write, result, { axis, before, after }, [x, constant_val]) {
    const pad = int32s(result.shape.flatMap((_, at) => (at === axis ? [before, after] : [0, 0])));
    write.operation('pad', { x, pad, mode: text('constant'), constant_val }, result);
  },

  cast: (write, result, { to }, [x]) => write.operation('cast', { x, dtype: text(toMilDType(to)) }, result),

  upsample_nearest(write, result, { scale }, [x]) {
    const factor = fraction('fp32', scale);
    const factors = { scale_factor_height: factor, scale_factor_width: factor };
    write.operation('upsample_nearest_neighbor', { x, ...factors }, result);
  },

  embedding(write, result, _, [x, indices]) {
    const lookup = { x, indices, axis: int32(0), batch_dims: int32(0) };
    write.operation('gather', { ...lookup, ...unchecked(write) }, result);
  },

  argmax(write, result, _, [x]) {
    const output_dtype = write.ios >= 17 ? text('int32') : undefined;
    write.operation('reduce_argmax', { x, axis: int32(1), keep_dims: bool(true), output_dtype }, result);
  },

  /** Each row's own number goes before its index: pairs [b, index[b]], as Apple's converter writes them. */
  gather_nd(write, result, _, [x, index = '']) {
    const [batch = 0] = result.shape;
    const rows: Literal = { dtype: 'int32', shape: [batch, 1], data: [...Array(batch).keys()] };
    const pairs = write.names.claim(`${result.name}_pairs`);
    const joined = { values: [rows, index], axis: int32(1), interleave: bool(false) };
    write.operation('concat', joined, { name: pairs, dtype: 'int32', shape: [batch, 2] });
    write.operation('gather_nd', { x, indices: pairs, batch_dims: int32(0), ...unchecked(write) }, result);
  },
};

/** An epsilon that changes nothing: 1 + 2⁻²⁴ is 1 in float32, and 2⁻²⁴ is the smallest number above 0 in float16. */
const LOST_BESIDE_ONE = 2 ** -24;

/** Writes the operations of a tensor; `inputs` are the names it reads. */
export function lower(write: MilWriter, tensor: Tensor, result: Result, inputs: readonly string[]): void {
  // as: indexing by `op.kind` pairs each operation with its lowering, which the compiler cannot see.
  const lowering = lowerings[tensor.op.kind] as Lowering<OpKind>;
  lowering(write, result, tensor.op, inputs, tensor);
}

/** The parameter `validate_indices`, which exists from iOS 17 on. */
function unchecked({ ios }: MilWriter): { validate_indices?: Literal } {
  return ios >= 17 ? { validate_indices: bool(false) } : {};
}

function axisOf(result: Result, axis: number): Literal {
  return int32(fromStart(result, axis));
}

function fromStart({ shape }: Result, axis: number): number {
  return axis < 0 ? axis + shape.length : axis;
}
