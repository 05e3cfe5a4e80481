import { concat, cos, mul, reshape, silu, sin } from '../../graph/functions.ts';
import { linear } from '../../graph/layers.ts';
import type { Scope } from '../../graph/scope.ts';
import type { Tensor } from '../../graph/tensor.ts';

/** Size and frequencies of the embedding; the keys are diffusers'. */
export interface TimestepOptions {
  /** Size of the embedding, an even number. */
  readonly channels: number;
  readonly flip_sin_to_cos: boolean;
  readonly freq_shift: number;
}

/**
 * Sinusoids of a timestep (Vaswani et al. 2017, §3.5, as Ho et al. 2020 use them): angles t·10000^(−i/(n−shift)),
 * i = 0 … n−1, n = channels/2. `timestep` is float32 [B] or a scalar; the result is [B,channels], or [1,channels] for a
 * scalar. Several numbers per row, [B,N], give [B,N,channels].
 */
export function timestepEmbedding(
  timestep: Tensor,
  { channels, flip_sin_to_cos, freq_shift }: TimestepOptions,
): Tensor {
  const half = channels / 2;
  // Rounded to float32 where torch rounds: at t = 981 an angle off by one part in 2²⁴ is already off by 6e-5.
  const frequencies = Float32Array.from({ length: half }, (_, i) =>
    Math.exp(Math.fround(Math.fround(-Math.log(10000) * i) / (half - freq_shift))),
  );
  const column = timestep.shape.length === 0 ? timestep : reshape(timestep, [...timestep.shape, 1]);
  const angles = mul(column, timestep.builder.constant(frequencies, [1, half], 'time_proj/frequencies'));
  return concat(
    flip_sin_to_cos ? [cos(angles), sin(angles)] : [sin(angles), cos(angles)],
    angles.shape.length - 1,
  );
}

/** Linear → SiLU → Linear. */
export function timeMlp(at: Scope, x: Tensor): Tensor {
  return linear(at.in('linear_2'), silu(linear(at.in('linear_1'), x)));
}
