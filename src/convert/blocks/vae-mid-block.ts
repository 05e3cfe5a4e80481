import { add, reshapeLike } from '../../graph/functions.ts';
import { groupNorm } from '../../graph/layers.ts';
import type { Scope } from '../../graph/scope.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { attention } from './attention.ts';
import { type Norm, resnetBlock } from './resnet-block.ts';
import { toTokens } from './transformer.ts';

/**
 * Parameters of all group norms of a VAE: diffusers' Encoder and Decoder (models/autoencoders/vae.py) hard-code the
 * epsilon.
 */
export function vaeNorm(groups: number): Norm {
  return { groups, epsilon: 1e-6 };
}

/** Resnet → single-head self-attention over the pixels → resnet, on x [B,C,H,W]. */
export function vaeMidBlock(at: Scope, x: Tensor, norm: Norm): Tensor {
  const h = resnetBlock(at.in('resnets.0'), x, norm);
  return resnetBlock(at.in('resnets.1'), pixelAttention(at.in('attentions.0'), h, norm), norm);
}

function pixelAttention(at: Scope, x: Tensor, norm: Norm): Tensor {
  const tokens = toTokens(groupNorm(at.in('group_norm'), x, norm));
  // A single head cannot be split, so the chosen implementation does not matter.
  const h = attention(at, tokens, tokens, { heads: 1, implementation: 'ORIGINAL' });
  return add(reshapeLike(h, x), x);
}
