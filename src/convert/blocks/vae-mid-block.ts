import { add, reshapeLike } from '../../graph/functions.ts';
import { groupNorm } from '../../graph/layers.ts';
import type { Scope } from '../../graph/scope.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { attention } from './attention.ts';
import { type Norm, resnetBlock } from './resnet-block.ts';
import { toTokens } from './transformer.ts';

/** All of a VAE's group normalisations: diffusers' Encoder and Decoder (models/autoencoders/vae.py) fix the epsilon, no config says it. */
export function vaeNorm(groups: number): Norm {
  return { groups, epsilon: 1e-6 };
}

/** Resnet → attention of every pixel to every other, in one head → resnet, on x [B,C,H,W]. */
export function vaeMidBlock(at: Scope, x: Tensor, norm: Norm): Tensor {
  const h = resnetBlock(at.in('resnets.0'), x, norm);
  return resnetBlock(at.in('resnets.1'), pixelAttention(at.in('attentions.0'), h, norm), norm);
}

function pixelAttention(at: Scope, x: Tensor, norm: Norm): Tensor {
  const tokens = toTokens(groupNorm(at.in('group_norm'), x, norm));
  // One head has nothing to split: every implementation would be this one.
  const h = attention(at, tokens, tokens, { heads: 1, implementation: 'ORIGINAL' });
  return add(reshapeLike(h, x), x);
}
