import { type Dim, formatDim, sameDim, subtractDims } from '../../graph/dim.ts';
import type { OpKind, OpOf } from '../../graph/op.ts';
import { dimAt, fixedDimAt, formatShape, type Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { OnnxWriter } from './onnx-writer.ts';

/** Writes the nodes that compute a tensor. */
type Lowering<K extends OpKind> = (
  write: OnnxWriter,
  tensor: Tensor,
  op: OpOf<K>,
  inputs: readonly string[],
) => void;

/** One lowering an operation, in ONNX's standard operators of opset 21. */
const lowerings: { readonly [K in OpKind]: Lowering<K> } = {
  input() {},
  weight() {},
  constant() {},

  conv2d(write, { name, inputs: [, weight] }, { stride, pads }, inputs) {
    write.node('Conv', inputs, name, {
      kernel_shape: [kernelSize(weight, 2), kernelSize(weight, 3)],
      strides: [stride, stride],
      pads: [pads.top, pads.left, pads.bottom, pads.right],
    });
  },

  linear(write, { name, shape, inputs: [, weight] }, _, [input = '', ...parameters]) {
    if (shape.length === 2) return write.node('Gemm', [input, ...parameters], name, { transB: 1 });
    if (shape.filter((dim) => typeof dim !== 'number').length > 1) {
      // The rows could be laid out, but not put back without arithmetic on sizes.
      const [stored = '', ...bias] = parameters;
      const factors = [input, write.node1('Transpose', [stored], `${name}/weight`, { perm: [1, 0] })];
      if (bias.length === 0) return write.node('MatMul', factors, name);
      return write.node('Add', [write.node1('MatMul', factors, `${name}/product`), ...bias], name);
    }
    // Gemm reads the weight as it is stored, MatMul would need it transposed; laying out the rows costs nothing.
    const rows = write.node1('Reshape', [input, write.int64s([-1, kernelSize(weight, 1)])], `${name}/rows`);
    const product = write.node1('Gemm', [rows, ...parameters], `${name}/product`, { transB: 1 });
    write.node('Reshape', [product, write.int64s(reshapeTarget(shape, []))], name);
  },

  matmul(write, { name, inputs: [a, b] }, { transposeA, transposeB }, [left = '', right = '']) {
    const swap = (input: string, tensor: Tensor | undefined, side: string): string =>
      write.node1('Transpose', [input], `${name}/${side}`, { perm: swapLastTwo(tensor?.shape.length ?? 0) });
    write.node(
      'MatMul',
      [transposeA ? swap(left, a, 'a') : left, transposeB ? swap(right, b, 'b') : right],
      name,
    );
  },

  einsum: (write, { name }, { equation }, inputs) => write.node('Einsum', inputs, name, { equation }),
  add: (write, { name }, _, inputs) => write.node('Add', inputs, name),
  mul: (write, { name }, _, inputs) => write.node('Mul', inputs, name),
  equal: (write, { name }, _, inputs) => write.node('Equal', inputs, name),

  greater: (write, { name }, _, inputs) => write.node('Greater', inputs, name),
  relu: (write, { name }, _, inputs) => write.node('Relu', inputs, name),

  silu(write, { name }, _, [x = '']) {
    write.node('Mul', [x, write.node1('Sigmoid', [x], `${name}/sigmoid`)], name);
  },

  sigmoid: (write, { name }, _, inputs) => write.node('Sigmoid', inputs, name),
  gelu: (write, { name }, _, inputs) => write.node('Gelu', inputs, name, { approximate: 'none' }),
  tanh: (write, { name }, _, inputs) => write.node('Tanh', inputs, name),
  sin: (write, { name }, _, inputs) => write.node('Sin', inputs, name),
  cos: (write, { name }, _, inputs) => write.node('Cos', inputs, name),
  softmax: (write, { name }, { axis }, inputs) => write.node('Softmax', inputs, name, { axis }),

  group_norm(write, { name }, { groups, epsilon }, inputs) {
    write.node('GroupNormalization', inputs, name, { num_groups: groups, epsilon: write.float(epsilon) });
  },

  layer_norm(write, { name, shape }, { axis, epsilon }, [x = '', ...parameters]) {
    const attributes = { axis: -1, epsilon: write.float(epsilon) };
    const last = shape.length - 1;
    const at = axis < 0 ? axis + shape.length : axis;
    if (at === last) return write.node('LayerNormalization', [x, ...parameters], name, attributes);
    // The operator normalises trailing axes only.
    const toLast = [...shape.keys()].filter((each) => each !== at).concat(at);
    const back = toLast.map((_, each) => toLast.indexOf(each));
    const rows = write.node1('Transpose', [x], `${name}/rows`, { perm: toLast });
    const normed = write.node1('LayerNormalization', [rows, ...parameters], `${name}/normed`, attributes);
    write.node('Transpose', [normed], name, { perm: back });
  },

  rms_norm(write, { name, dtype }, { axis, epsilon }, [x = '']) {
    // In float32: the squares of elements above 255 leave float16's range.
    const to = write.dataType('f32');
    const wide = dtype === 'f16' ? write.node1('Cast', [x], `${name}/float32`, { to }) : x;
    // These operators in this order are what onnxruntime makes one kernel of, with a factor that follows.
    const squares = write.node1('Pow', [wide, write.float32s([2])], `${name}/squares`);
    const mean = write.node1('ReduceMean', [squares, write.int64s([axis])], `${name}/mean`, { keepdims: 1 });
    const shifted = write.node1('Add', [mean, write.float32s([epsilon])], `${name}/shifted`);
    const root = write.node1('Sqrt', [shifted], `${name}/root`);
    if (dtype !== 'f16') return write.node('Div', [wide, root], name);
    const normed = write.node1('Div', [wide, root], `${name}/normed`);
    write.node('Cast', [normed], name, { to: write.dataType('f16') });
  },

  normalize(write, { name }, _, [x = '', epsilon = '']) {
    const length = write.node1('ReduceL2', [x, write.int64s([-1])], `${name}/length`, { keepdims: 1 });
    write.node('Div', [x, write.node1('Max', [length, epsilon], `${name}/divisor`)], name);
  },

  reduce_max(write, { name }, { axis }, [x = '']) {
    write.node('ReduceMax', [x, write.int64s([axis])], name, { keepdims: 1 });
  },

  reshape(write, { name, inputs: [x] }, { shape }, [input = '']) {
    write.node('Reshape', [input, write.int64s(reshapeTarget(shape, x?.shape ?? []))], name);
  },

  reshape_like(write, { name }, _, [x = '', like = '']) {
    write.node('Reshape', [x, write.node1('Shape', [like], `${name}/shape`)], name);
  },

  transpose: (write, { name }, { perm }, inputs) => write.node('Transpose', inputs, name, { perm }),
  concat: (write, { name }, { axis }, inputs) => write.node('Concat', inputs, name, { axis }),

  slice(write, { name, inputs: [from] }, { axis, start, end }, [x = '']) {
    const bound = (at: Dim): string => write.int64s([sliceBound(at, dimAt(from?.shape ?? [], axis))]);
    write.node('Slice', [x, bound(start), bound(end), write.int64s([axis])], name);
  },

  pad(write, { name, shape }, { axis, before, after }, [x = '', value = '']) {
    const sizes = [before, after].flatMap((size) => shape.map((_, at) => (at === axis ? size : 0)));
    write.node('Pad', [x, write.int64s(sizes), value], name, { mode: 'constant' });
  },

  cast: (write, { name }, { to }, inputs) => write.node('Cast', inputs, name, { to: write.dataType(to) }),

  upsample_nearest(write, { name }, { scale }, [x = '']) {
    const attributes = {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    };
    write.node('Resize', [x, '', write.float32s([1, 1, scale, scale])], name, attributes);
  },

  embedding: (write, { name }, _, inputs) => write.node('Gather', inputs, name, { axis: 0 }),
  argmax: (write, { name }, _, inputs) => write.node('ArgMax', inputs, name, { axis: 1, keepdims: 1 }),
  gather_nd: (write, { name }, _, inputs) => write.node('GatherND', inputs, name, { batch_dims: 1 }),
};

/** Writes a tensor's nodes; `inputs` are the names it reads. */
export function lower(write: OnnxWriter, tensor: Tensor, inputs: readonly string[]): void {
  // Each lowering takes its own kind of operation; indexing by `op.kind` pairs them, which the compiler cannot follow.
  const lowering = lowerings[tensor.op.kind] as Lowering<OpKind>;
  lowering(write, tensor, tensor.op, inputs);
}

/**
 * A shape as Reshape takes it without run-time arithmetic: a number, 0 for "as in the input", −1 for one other free size.
 */
function reshapeTarget(shape: Shape, from: Shape): number[] {
  const target = shape.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    return axis < from.length && sameDim(dim, dimAt(from, axis)) ? 0 : -1;
  });
  if (target.filter((size) => size === -1).length > 1)
    throw new Error(`${formatShape(from)} → ${formatShape(shape)} has two free sizes`);
  return target;
}

/** Start or end for Slice without run-time arithmetic: counted from the front, or negative from the end. */
function sliceBound(at: Dim, size: Dim): number {
  if (typeof at === 'number') return at;
  const rest = subtractDims(size, at);
  if (typeof rest !== 'number') throw new Error(`${formatDim(at)} is at neither end of ${formatDim(size)}`);
  return rest === 0 ? THE_END : -rest;
}

/** Beyond the end of every axis; Slice cuts it back. */
const THE_END = 2 ** 31 - 1;

function swapLastTwo(rank: number): number[] {
  return [...Array(rank - 2).keys(), rank - 1, rank - 2];
}

function kernelSize(weight: Tensor | undefined, axis: number): number {
  if (!weight) throw new Error('a weight is missing');
  return fixedDimAt(weight.shape, axis);
}
