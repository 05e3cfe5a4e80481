import { add, reshape, silu } from '../../graph/functions.ts';
import { conv2d, groupNorm, linear } from '../../graph/layers.ts';
import type { Scope } from '../../graph/scope.ts';
import type { Tensor } from '../../graph/tensor.ts';

/** Parameters of a group normalisation. */
export interface Norm {
  readonly groups: number;
  readonly epsilon: number;
}

/**
 * GroupNorm → SiLU → Conv, twice, on x [B,C,H,W]; the time embedding [B or 1,T], if there is one, is added in the
 * middle, the input at the end.
 */
export function resnetBlock(at: Scope, x: Tensor, norm: Norm, time?: Tensor): Tensor {
  let h = groupNorm(at.in('norm1'), x, norm);
  h = conv2d(at.in('conv1'), silu(h), { pad: 1 });

  if (time) {
    const shift = linear(at.in('time_emb_proj'), silu(time));
    h = add(h, reshape(shift, [...shift.shape, 1, 1]));
  }

  h = groupNorm(at.in('norm2'), h, norm);
  h = conv2d(at.in('conv2'), silu(h), { pad: 1 });

  const skip = at.has('conv_shortcut') ? conv2d(at.in('conv_shortcut'), x) : x;
  return add(skip, h);
}
