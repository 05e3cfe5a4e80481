import type { DType } from '../weights/dtype.ts';
import type { Weight } from '../weights/weight.ts';
import type { Dim } from './dim.ts';
import type { Shape } from './shape.ts';

/** Small numbers that live in the graph itself: scalars, frequency tables, masks. */
export type ConstantData = Float32Array | Int32Array;

/** Rows or columns added on each side of an image, in elements. */
export interface Pads {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/**
 * Every operation and its attributes; tensors an operation reads are its `inputs`, named in the comment.
 * The set is closed: a new entry does not compile until its shape rule and every target's lowering exist.
 */
export interface OpAttributes {
  /** A tensor that the caller provides. */
  input: object;
  /** A tensor of the checkpoint, stored in the artifact with the node's dtype and shape (same elements, row-major). */
  weight: { readonly weight: Weight };
  /** Numbers written into the graph. */
  constant: { readonly data: ConstantData };
  /** inputs: x [B,C,H,W], weight [O,C,k,k], bias [O]? */
  conv2d: { readonly stride: number; readonly pads: Pads };
  /** inputs: x […,I], weight [O,I], bias [O]? → x·Wᵀ + b */
  linear: object;
  /** inputs: a […,M,K], b […,K,N] (each read transposed in its last two axes where asked) */
  matmul: { readonly transposeA: boolean; readonly transposeB: boolean };
  /** inputs: two tensors of rank 4; Einstein summation, e.g. `bkhc,bchq->bkhq` */
  einsum: { readonly equation: string };
  /** inputs: a, b of the same dtype, broadcast as NumPy does */
  add: object;
  mul: object;
  /** inputs: a, b of the same dtype, broadcast → bool */
  equal: object;
  /** inputs: a, b of the same dtype, broadcast → a > b, bool */
  greater: object;
  /** max(x, 0) */
  relu: object;
  /** x·σ(x) */
  silu: object;
  sigmoid: object;
  /** x·Φ(x), exact (erf) */
  gelu: object;
  tanh: object;
  sin: object;
  cos: object;
  softmax: { readonly axis: number };
  /** inputs: x [B,C,H,W], weight [C], bias [C]; mean and variance over each group of C/groups channels */
  group_norm: { readonly groups: number; readonly epsilon: number };
  /** inputs: x, weight [n], bias [n]; mean and variance over one axis of size n */
  layer_norm: { readonly axis: number; readonly epsilon: number };
  /** x divided by √(mean of its squares + epsilon) along one axis */
  rms_norm: { readonly axis: number; readonly epsilon: number };
  /** inputs: x, epsilon []; the vectors along the last axis, each divided by its Euclidean length or by epsilon, whichever is larger */
  normalize: object;
  /** The largest element along one axis; its size becomes 1. */
  reduce_max: { readonly axis: number };
  reshape: { readonly shape: Shape };
  /** inputs: x, like; the elements of x in the shape of `like`: for shapes with two free sizes, which `reshape` cannot say statically */
  reshape_like: object;
  transpose: { readonly perm: readonly number[] };
  concat: { readonly axis: number };
  /** Elements `start` … `end`−1 of one axis; of a free one, bounds that are a fixed number of elements away from one of its ends. */
  slice: { readonly axis: number; readonly start: Dim; readonly end: Dim };
  /** inputs: x, value []; `before` and `after` elements of `value` added around x along one axis */
  pad: { readonly axis: number; readonly before: number; readonly after: number };
  cast: { readonly to: DType };
  /** Nearest-neighbour doubling of the last two axes. */
  upsample_nearest: { readonly scale: number };
  /** inputs: table [N,C], indices […] of integers → […,C] */
  embedding: object;
  /** inputs: x [B,N] → position of the first largest element of each row, [B,1] of i64 */
  argmax: object;
  /** inputs: x [B,N,C], index [B,1] → x[b, index[b]], [B,C] */
  gather_nd: object;
}

export type OpKind = keyof OpAttributes;

/** One operation of a kind: its attributes. */
export type OpOf<K extends OpKind> = { readonly kind: K } & OpAttributes[K];

/** Any operation, discriminated by `kind`. */
export type Op = { [K in OpKind]: OpOf<K> }[OpKind];

/** The kinds that have no inputs: their type is given, not inferred. */
export type SourceKind = 'input' | 'weight' | 'constant';

/** Any operation that computes something from its inputs. */
export type ComputedOp = Exclude<Op, { kind: SourceKind }>;
