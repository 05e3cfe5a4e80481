import type { Pads } from './op.ts';
import type { Scope } from './scope.ts';
import type { Tensor } from './tensor.ts';

/** The operations that read weights: `at` is the module, named as in diffusers. */

/** Convolution of x [B,C,H,W]; `pad` is the same on all sides or given for each. */
export function conv2d(
  at: Scope,
  x: Tensor,
  options: { stride?: number; pad?: number | Pads; bias?: boolean } = {},
): Tensor {
  const { stride = 1, pad = 0, bias = true } = options;
  const pads = typeof pad === 'number' ? { top: pad, left: pad, bottom: pad, right: pad } : pad;
  return at.builder.apply(
    { kind: 'conv2d', stride, pads },
    [x, at.weight('weight'), ...(bias ? [at.weight('bias')] : [])],
    at.path,
  );
}

/** A linear layer over the channels of x [B,C,1,S] (or [B,C,H,W]), as a 1×1 convolution. The stored weight may be of rank 2 or 4. */
export function pointwise(at: Scope, x: Tensor, { bias }: { bias: boolean } = { bias: true }): Tensor {
  const weight = at.weightAs('weight', ([out = 0, into = 0]) => [out, into, 1, 1]);
  const pads = { top: 0, left: 0, bottom: 0, right: 0 };
  return at.builder.apply(
    { kind: 'conv2d', stride: 1, pads },
    [x, weight, ...(bias ? [at.weight('bias')] : [])],
    at.path,
  );
}

/** A linear layer over the last axis of x […,I]. */
export function linear(at: Scope, x: Tensor, { bias }: { bias: boolean } = { bias: true }): Tensor {
  const weights = [at.weight('weight'), ...(bias ? [at.weight('bias')] : [])];
  return at.builder.apply({ kind: 'linear' }, [x, ...weights], at.path);
}

/** Normalises each of `groups` groups of channels of x [B,C,H,W] to mean 0 and variance 1, then scales and shifts each channel. */
export function groupNorm(at: Scope, x: Tensor, norm: { groups: number; epsilon: number }): Tensor {
  return at.builder.apply(
    { kind: 'group_norm', ...norm },
    [x, at.weight('weight'), at.weight('bias')],
    at.path,
  );
}

/** Normalises one axis of x to mean 0 and variance 1, then scales and shifts each of its positions. */
export function layerNorm(at: Scope, x: Tensor, norm: { axis: number; epsilon: number }): Tensor {
  return at.builder.apply(
    { kind: 'layer_norm', ...norm },
    [x, at.weight('weight'), at.weight('bias')],
    at.path,
  );
}

/** Divides x by the root of its mean square along one axis (Zhang and Sennrich 2019), then scales each of its positions. */
export function rmsNorm(at: Scope, x: Tensor, norm: { axis: number; epsilon: number }): Tensor {
  const normed = at.builder.apply({ kind: 'rms_norm', ...norm }, [x]);
  const behind = norm.axis < 0 ? -1 - norm.axis : x.shape.length - 1 - norm.axis;
  const weight = at.weightAs('weight', ([size = 0]) => [size, ...Array<number>(behind).fill(1)]);
  return at.builder.apply({ kind: 'mul' }, [normed, weight], at.path);
}

/** Rows of the table `weight` [N,C] at integer `indices` […] → […,C]. */
export function embedding(at: Scope, indices: Tensor): Tensor {
  return at.builder.apply({ kind: 'embedding' }, [at.weight('weight'), indices], at.path);
}
