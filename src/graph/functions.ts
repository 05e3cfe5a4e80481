import type { DType } from '../weights/dtype.ts';
import { addDims, type Dim, formatDim, sameDim } from './dim.ts';
import type { ComputedOp } from './op.ts';
import { dimAt, formatShape, type Shape } from './shape.ts';
import type { Tensor } from './tensor.ts';

/** The operations that read no weights, as functions of tensors. */

export function add(a: Tensor, b: Tensor): Tensor {
  return apply({ kind: 'add' }, a, b);
}

export function mul(a: Tensor, b: Tensor): Tensor {
  return apply({ kind: 'mul' }, a, b);
}

/** x + `value`, in x's dtype. */
export function addScalar(x: Tensor, value: number): Tensor {
  return add(x, scalar(x, value));
}

/** x · `factor`, in x's dtype. */
export function scale(x: Tensor, factor: number): Tensor {
  return mul(x, scalar(x, factor));
}

export function equal(a: Tensor, b: Tensor): Tensor {
  return apply({ kind: 'equal' }, a, b);
}

/** x > `value`, as bool. */
export function greaterScalar(x: Tensor, value: number): Tensor {
  return apply({ kind: 'greater' }, x, scalar(x, value));
}

/** x < `value`, as bool. */
export function lessScalar(x: Tensor, value: number): Tensor {
  return apply({ kind: 'greater' }, scalar(x, value), x);
}

export function relu(x: Tensor): Tensor {
  return apply({ kind: 'relu' }, x);
}

export function silu(x: Tensor): Tensor {
  return apply({ kind: 'silu' }, x);
}

export function sigmoid(x: Tensor): Tensor {
  return apply({ kind: 'sigmoid' }, x);
}

export function gelu(x: Tensor): Tensor {
  return apply({ kind: 'gelu' }, x);
}

export function tanh(x: Tensor): Tensor {
  return apply({ kind: 'tanh' }, x);
}

export function sin(x: Tensor): Tensor {
  return apply({ kind: 'sin' }, x);
}

export function cos(x: Tensor): Tensor {
  return apply({ kind: 'cos' }, x);
}

export function softmax(x: Tensor, axis: number): Tensor {
  return apply({ kind: 'softmax', axis }, x);
}

/** x / max(‖x‖, `epsilon`), where ‖x‖ is the Euclidean length along the last axis. */
export function normalize(x: Tensor, epsilon: number): Tensor {
  return apply({ kind: 'normalize' }, x, scalar(x, epsilon));
}

/** The largest element along an axis, whose size becomes 1. */
export function reduceMax(x: Tensor, axis: number): Tensor {
  return apply({ kind: 'reduce_max', axis }, x);
}

/** a·b over the last two axes, either read transposed. */
export function matmul(
  a: Tensor,
  b: Tensor,
  read: { transposeA?: boolean; transposeB?: boolean } = {},
): Tensor {
  return apply(
    { kind: 'matmul', transposeA: read.transposeA ?? false, transposeB: read.transposeB ?? false },
    a,
    b,
  );
}

export function einsum(equation: string, a: Tensor, b: Tensor): Tensor {
  return apply({ kind: 'einsum', equation }, a, b);
}

export function reshape(x: Tensor, shape: Shape): Tensor {
  return apply({ kind: 'reshape', shape }, x);
}

/** The elements of x in the shape of `like`. */
export function reshapeLike(x: Tensor, like: Tensor): Tensor {
  const free = like.shape.filter(
    (dim, axis) => typeof dim !== 'number' && !(axis in x.shape && sameDim(dim, dimAt(x.shape, axis))),
  );
  return free.length <= 1 ? reshape(x, like.shape) : apply({ kind: 'reshape_like' }, x, like);
}

export function transpose(x: Tensor, perm: readonly number[]): Tensor {
  return apply({ kind: 'transpose', perm }, x);
}

export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const [first, ...rest] = tensors;
  if (!first) throw new RangeError('nothing to concatenate');
  return rest.length === 0 ? first : apply({ kind: 'concat', axis }, first, ...rest);
}

/** Elements `start` … `end`−1 of an axis; of a free one, bounds that are a fixed number of elements away from one of its ends. */
export function slice(x: Tensor, axis: number, start: Dim, end: Dim): Tensor {
  return apply({ kind: 'slice', axis, start, end }, x);
}

/** The tensors of these sizes that `concat` along an axis would make x of. Throws `RangeError` where they are not all of it. */
export function split<const Sizes extends readonly Dim[]>(
  x: Tensor,
  axis: number,
  sizes: Sizes,
): { [Part in keyof Sizes]: Tensor } {
  const total = addDims(sizes);
  if (!sameDim(total, dimAt(x.shape, axis)))
    throw new RangeError(`${formatDim(total)} is not all of axis ${axis} of ${formatShape(x.shape)}`);
  const parts = sizes.map((size, part) => {
    const start = addDims(sizes.slice(0, part));
    return slice(x, axis, start, addDims([start, size]));
  });
  // as: `map` gives as many as there are sizes, which its type forgets.
  return parts as { [Part in keyof Sizes]: Tensor };
}

/** x with `before` and `after` elements of `value` around it along an axis. */
export function pad(
  x: Tensor,
  axis: number,
  { before = 0, after = 0, value = 0 }: { before?: number; after?: number; value?: number },
): Tensor {
  return apply({ kind: 'pad', axis, before, after }, x, scalar(x, value));
}

export function cast(x: Tensor, to: DType): Tensor {
  return x.dtype === to ? x : apply({ kind: 'cast', to }, x);
}

export function upsampleNearest(x: Tensor, scale: number): Tensor {
  return apply({ kind: 'upsample_nearest', scale }, x);
}

export function argmax(x: Tensor): Tensor {
  return apply({ kind: 'argmax' }, x);
}

export function gatherNd(x: Tensor, index: Tensor): Tensor {
  return apply({ kind: 'gather_nd' }, x, index);
}

/** A number to compute with beside `x`. */
function scalar(x: Tensor, value: number): Tensor {
  const data = x.dtype === 'i32' ? Int32Array.of(value) : Float32Array.of(value);
  return x.builder.constant(data, [], undefined, x.dtype);
}

function apply(op: ComputedOp, first: Tensor, ...rest: Tensor[]): Tensor {
  return first.builder.apply(op, [first, ...rest]);
}
