import type { Tensor } from '../../../graph/tensor.ts';

/** Attention in a graph: softmax(q·kᵀ·scale + mask)·v, with q, k and v [B,heads,S,d]. */
export interface Attention {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly mask: Tensor | undefined;
  readonly scale: number;
}

/**
 * The attention whose result a tensor is; `undefined` where it is another's. (`withTokensLast` gives all attention of the
 * implementation ORIGINAL this form.)
 */
export function attentionOf({ op, inputs: [weights, value] }: Tensor): Attention | undefined {
  if (op.kind !== 'matmul' || op.transposeA || op.transposeB || !weights || !value) return undefined;
  const [masked] = weights.inputs;
  if (weights.op.kind !== 'softmax' || weights.shape.length !== 4 || !masked) return undefined;
  if (weights.op.axis !== 3 && weights.op.axis !== -1) return undefined;
  const [scores, mask] = masked.op.kind === 'add' ? masked.inputs : [masked];
  const [scaled, key] = scores?.inputs ?? [];
  if (scores?.op.kind !== 'matmul' || scores.op.transposeA || !scores.op.transposeB || !scaled || !key)
    return undefined;
  const { x: query, factors } = unscaled(scaled);
  const scale = factors.reduce((product, factor) => product * (factorOf(factor) ?? 1), 1);
  return { query, key, value, mask, scale };
}

/** A tensor that is a product with single numbers, without them, and the numbers in the order of the products. */
export function unscaled(tensor: Tensor): { readonly x: Tensor; readonly factors: readonly Tensor[] } {
  const [x, factor] = tensor.inputs;
  if (tensor.op.kind !== 'mul' || !x || !factor || factorOf(factor) === undefined)
    return { x: tensor, factors: [] };
  const inner = unscaled(x);
  return { x: inner.x, factors: [...inner.factors, factor] };
}

function factorOf({ op, shape }: Tensor): number | undefined {
  return op.kind === 'constant' && shape.length === 0 ? op.data[0] : undefined;
}
