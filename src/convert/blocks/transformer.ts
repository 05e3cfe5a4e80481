import { multiplyDims } from '../../graph/dim.ts';
import { add, gelu, mul, reshape, reshapeLike, slice } from '../../graph/functions.ts';
import { groupNorm, layerNorm, pointwise } from '../../graph/layers.ts';
import type { Scope } from '../../graph/scope.ts';
import { dimAt, fixedDimAt } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { type AttentionImplementation, attention } from './attention.ts';

/** How a transformer is built. */
export interface TransformerOptions {
  readonly heads: number;
  readonly groups: number;
  /** Number of transformer blocks. */
  readonly layers: number;
  readonly implementation: AttentionImplementation;
}

/** Epsilon of the group norm: fixed in diffusers' Transformer2DModel, whatever the config's norm_eps. */
const GROUP_EPSILON = 1e-6;

/** Epsilon of the layer norms: torch's default, which diffusers' BasicTransformerBlock keeps. */
const LAYER_EPSILON = 1e-5;

/**
 * GroupNorm → projection → transformer blocks over the pixels of x [B,C,H,W] → projection → + x; `context` is
 * [B,D,1,S].
 */
export function transformer2d(at: Scope, x: Tensor, context: Tensor, options: TransformerOptions): Tensor {
  let h = groupNorm(at.in('norm'), x, { groups: options.groups, epsilon: GROUP_EPSILON });
  h = toTokens(h); // [B,C,1,H·W]
  h = pointwise(at.in('proj_in'), h);
  for (let layer = 0; layer < options.layers; layer++) {
    h = transformerBlock(at.in(`transformer_blocks.${layer}`), h, context, options);
  }
  h = pointwise(at.in('proj_out'), h);
  return add(reshapeLike(h, x), x); // [B,C,H,W]
}

/**
 * Self-attention, cross-attention and feed-forward on tokens x [B,C,1,S]; each has a layer norm and a residual
 * connection.
 */
function transformerBlock(at: Scope, x: Tensor, context: Tensor, options: TransformerOptions): Tensor {
  const norm = { axis: 1, epsilon: LAYER_EPSILON };
  const normed = layerNorm(at.in('norm1'), x, norm);
  let h = add(x, attention(at.in('attn1'), normed, normed, options));
  h = add(h, attention(at.in('attn2'), layerNorm(at.in('norm2'), h, norm), context, options));
  return add(h, feedForward(at.in('ff'), layerNorm(at.in('norm3'), h, norm)));
}

/** GEGLU (Shazeer 2020): one projection to twice the width, the first half times the GELU of the second, then back. */
function feedForward(at: Scope, x: Tensor): Tensor {
  const both = pointwise(at.in('net.0.proj'), x);
  const width = fixedDimAt(both.shape, 1);
  const gated = mul(slice(both, 1, 0, width / 2), gelu(slice(both, 1, width / 2, width)));
  return pointwise(at.in('net.2'), gated);
}

/** Reshapes a feature map [B,C,H,W] to tokens [B,C,1,H·W], row by row. */
export function toTokens(x: Tensor): Tensor {
  const { shape } = x;
  return reshape(x, [dimAt(shape, 0), dimAt(shape, 1), 1, multiplyDims([dimAt(shape, 2), dimAt(shape, 3)])]);
}
