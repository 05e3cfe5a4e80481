import { matmul, mul, reshape, slice, softmax, transpose } from '../../../graph/functions.ts';
import { type Graph, GraphBuilder } from '../../../graph/graph.ts';
import type { ComputedOp } from '../../../graph/op.ts';
import { copyInto } from '../../../graph/rewrite.ts';
import { dimAt, isFixed, type Shape, sameShape } from '../../../graph/shape.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { unscaled } from './attention.ts';

/**
 * The graph with the tokens of its transformers as [B,S,C], as Apple's exporter writes them, instead of [B,C,1,S]: convolutions
 * of them become linear layers, whose weights compress in blocks, layer norms go along the last axis, and all attention of the
 * implementation ORIGINAL has one form, which `attentionOf` finds. What computes the same is kept: nothing else changes.
 */
export function withTokensLast(graph: Graph): Graph {
  const walk = new Walk();
  for (const tensor of graph.tensors) walk.add(tensor);
  return walk.builder.finish(graph.outputs.map(({ name, tensor }) => ({ name, tensor: walk.plain(tensor) })));
}

class Walk {
  readonly builder = new GraphBuilder();
  /** New tensors in the shapes of the old ones. */
  readonly #plain = new Map<Tensor, Tensor>();
  /** New tensors [B,S,C] of old ones [B,C,1,S]. */
  readonly #tokens = new Map<Tensor, Tensor>();
  /** New tensors [B,heads,S,d] of old ones [B,heads,d,S]: results of attention. */
  readonly #mixed = new Map<Tensor, Tensor>();

  add(old: Tensor): void {
    const mixed = this.#attend(old);
    if (mixed) this.#mixed.set(old, mixed);
    const tokens = isTokens(old.shape) && this.#toTokens(old);
    if (tokens) this.#tokens.set(old, tokens);
    if (!mixed && !tokens) this.#plain.set(old, this.#copy(old));
  }

  /** The new tensor of an old one, in its shape. */
  plain(old: Tensor): Tensor {
    const known = this.#plain.get(old);
    if (known) return known;
    const [tokens, mixed] = [this.#tokens.get(old), this.#mixed.get(old)];
    const made = tokens
      ? reshape(turned(tokens, [0, 2, 1]), old.shape)
      : mixed && turned(mixed, [0, 1, 3, 2]);
    if (!made) throw new Error(`${old.name} is read before it is computed`);
    this.#plain.set(old, made);
    return made;
  }

  #copy(old: Tensor): Tensor {
    const { op, inputs } = old;
    const [x] = inputs;
    // Numbers that queries are multiplied by stay next to the product that they are for.
    const image = x && this.#convolveInto(old, x);
    if (image) return image;
    if (op.kind === 'reshape' && x) return moved(this.plain(x), (each) => laidOut(each, op.shape));
    if (op.kind === 'transpose' && x) return moved(this.plain(x), (each) => turned(each, op.perm));
    return copyInto(
      this.builder,
      old,
      inputs.map((input) => this.plain(input)),
    );
  }

  /** The result of an operation on tokens as [B,S,C]; `undefined` where it is to be computed as it is. */
  #toTokens(old: Tensor): Tensor | undefined {
    const { op, inputs } = old;
    const [x] = inputs;
    if (!x) return undefined;
    const tokens = this.#tokens.get(x);
    switch (op.kind) {
      case 'reshape':
      case 'reshape_like':
        return this.#begin(x, old);
      case 'conv2d':
        return isConvolution(old) ? this.#convolve(old) : tokens && this.#linear(old, tokens);
      case 'layer_norm':
      case 'rms_norm':
        return op.axis === 1 && tokens
          ? this.#apply({ ...op, axis: -1 }, old, [
              tokens,
              ...inputs.slice(1).map((each) => this.plain(each)),
            ])
          : undefined;
      case 'slice':
        return op.axis === 1 && tokens ? slice(tokens, 2, op.start, op.end) : undefined;
      case 'add':
      case 'mul':
        return this.#pair(old);
      case 'silu':
      case 'gelu':
      case 'cast':
        return tokens && this.#apply(op, old, [tokens]);
      default:
        return undefined;
    }
  }

  /** Images become tokens, or what the heads of attention gave becomes tokens again. */
  #begin(x: Tensor, old: Tensor): Tensor | undefined {
    const [batch = 0, channels = 0, , count = 0] = old.shape;
    const mixed = this.#mixed.get(x);
    if (mixed) return reshape(turned(mixed, [0, 2, 1, 3]), [batch, count, channels]);
    const tokens = this.#tokens.get(x);
    if (tokens) return sameShape(x.shape, old.shape) ? tokens : undefined;
    return turned(laidOut(this.plain(x), [batch, channels, count]), [0, 2, 1]);
  }

  /** Tokens of an image, by what the checkpoint has as a convolution: of the image. */
  #convolve(old: Tensor): Tensor | undefined {
    const [tokens] = old.inputs;
    const [image] = tokens?.inputs ?? [];
    const isFromImage = tokens?.op.kind === 'reshape' && image?.shape.length === 4 && !this.#mixed.has(image);
    if (!isFromImage || !this.#tokens.has(tokens)) return undefined;
    const [batch = 0, channels = 0, , count = 0] = old.shape;
    const convolved = this.#copyWith(old, laidOut(this.plain(tokens), image.shape));
    return turned(laidOut(convolved, [batch, channels, count]), [0, 2, 1]);
  }

  /** The image that tokens become, by what the checkpoint has as a convolution: one of the image. */
  #convolveInto({ op, shape }: Tensor, convolved: Tensor): Tensor | undefined {
    const [tokens] = convolved.inputs;
    const isIntoImage =
      (op.kind === 'reshape' || op.kind === 'reshape_like') && shape.length === 4 && isFixed(shape);
    if (!isConvolution(convolved) || !isIntoImage || !tokens || !this.#tokens.has(tokens)) return undefined;
    const [batch = 0, , height = 0, width = 0] = shape;
    return this.#copyWith(
      convolved,
      laidOut(this.plain(tokens), [batch, dimAt(tokens.shape, 1), height, width]),
    );
  }

  /** An operation of something else than its first input. */
  #copyWith(old: Tensor, first: Tensor): Tensor {
    return copyInto(this.builder, old, [first, ...old.inputs.slice(1).map((each) => this.plain(each))]);
  }

  #linear(old: Tensor, tokens: Tensor): Tensor | undefined {
    const [, weight, bias] = old.inputs;
    if (!isPointwise(old) || !weight) return undefined;
    const [out, into] = weight.shape.map(Number);
    const matrix = seenAs(this.builder, weight, [out ?? 0, into ?? 0], (each) => this.plain(each));
    return this.#apply({ kind: 'linear' }, old, [tokens, matrix, ...(bias ? [this.plain(bias)] : [])]);
  }

  /** Tokens and tokens, or tokens and one number. */
  #pair(old: Tensor): Tensor | undefined {
    const [a, b] = old.inputs;
    const [left, right] = [a && this.#tokens.get(a), b && this.#tokens.get(b)];
    if (old.op.kind !== 'add' && old.op.kind !== 'mul') return undefined;
    if (left && right && sameShape(left.shape, right.shape)) return this.#apply(old.op, old, [left, right]);
    return left && b?.shape.length === 0 ? this.#apply(old.op, old, [left, this.plain(b)]) : undefined;
  }

  /** Attention as ORIGINAL writes it, v·softmax(qᵀ·k)ᵀ with heads [B,heads,d,S], as softmax(q·kᵀ)·v. */
  #attend({ op, inputs: [v, weights] }: Tensor): Tensor | undefined {
    if (op.kind !== 'matmul' || op.transposeA || !op.transposeB || weights?.op.kind !== 'softmax' || !v)
      return undefined;
    const [scores] = weights.inputs;
    const [q, k] = scores?.inputs ?? [];
    if (scores?.op.kind !== 'matmul' || !scores.op.transposeA || scores.op.transposeB) return undefined;
    const [query, key, value] = [q, k, v].map((each) => each && this.#heads(each));
    if (weights.op.axis !== 3 || !query || !key || !value) return undefined;
    return matmul(softmax(matmul(query, key, { transposeB: true }), 3), value);
  }

  /** Heads [B,heads,S,d] of tokens that were split into [B,heads,d,S]. */
  #heads({ op, inputs: [x], shape }: Tensor): Tensor | undefined {
    const tokens = x && this.#tokens.get(x);
    if (op.kind !== 'reshape' || !tokens || shape.length !== 4) return undefined;
    const [batch = 0, heads = 0, size = 0, count = 0] = shape;
    return moved(tokens, (each) => turned(reshape(each, [batch, count, heads, size]), [0, 2, 1, 3]));
  }

  #apply(op: ComputedOp, { name }: Tensor, inputs: readonly Tensor[]): Tensor {
    return this.builder.apply(op, inputs, name);
  }
}

function isTokens(shape: Shape): boolean {
  return shape.length === 4 && dimAt(shape, 2) === 1;
}

/** Whether an operation is a convolution of single pixels. */
function isPointwise({ op, inputs: [, weight] }: Tensor): boolean {
  if (op.kind !== 'conv2d' || op.stride !== 1 || !weight) return false;
  return (
    weight.shape.slice(2).every((size) => size === 1) && Object.values(op.pads).every((size) => size === 0)
  );
}

/** Whether such a convolution is one in the checkpoint: there, most are linear layers. */
function isConvolution(old: Tensor): boolean {
  const [, weight] = old.inputs;
  const stored = weight?.op.kind === 'cast' ? weight.inputs[0] : weight;
  return isPointwise(old) && stored?.op.kind === 'weight' && stored.op.weight.shape.length === 4;
}

/** Moves the elements of x; single numbers that it was multiplied by are multiplied afterwards. */
function moved(tensor: Tensor, move: (x: Tensor) => Tensor): Tensor {
  const { x, factors } = unscaled(tensor);
  return factors.reduce(mul, move(x));
}

/** Reshapes, through what reshaped before. */
function laidOut(x: Tensor, shape: Shape): Tensor {
  const [before] = x.inputs;
  if (sameShape(x.shape, shape)) return x;
  return x.op.kind === 'reshape' && before ? laidOut(before, shape) : reshape(x, shape);
}

/** Transposes; what was transposed before is not transposed back. */
function turned(x: Tensor, perm: readonly number[]): Tensor {
  const [before] = x.inputs;
  const first = x.op.kind === 'transpose' ? x.op.perm : undefined;
  const isBack = first !== undefined && perm.every((axis, at) => first[axis] === at);
  return isBack && before ? before : transpose(x, perm);
}

/** A weight, or a cast of one, in another shape; anything else is reshaped. */
function seenAs(
  builder: GraphBuilder,
  old: Tensor,
  shape: readonly number[],
  renewed: (old: Tensor) => Tensor,
): Tensor {
  const [before] = old.inputs;
  if (old.op.kind === 'weight') return builder.weight(old.op.weight, { dtype: old.dtype, shape });
  if (old.op.kind === 'cast' && before)
    return builder.apply(old.op, [seenAs(builder, before, shape, renewed)], old.name);
  return reshape(renewed(old), shape);
}
