import { RequestError, ShapeError } from '../../errors.ts';
import type { TensorData } from '../../weights/tensor-data.ts';

/** Hidden states of a text encoder that the UNet is given. */
export interface HiddenStatesChoice {
  /** Name of the output. */
  readonly output: string;
  /** Whether the encoder's final layer norm still has to be applied (`normalizeHidden`). */
  readonly normalize: boolean;
}

/**
 * Chooses the text encoder's output for diffusers' `clip_skip`: that many layers before the usual one. Usual is the
 * last layer for Stable Diffusion 1 and 2, the last but one for XL; in 1 and 2, earlier layers still need the encoder's
 * `final_layer_norm`. `outputs`: names of the encoder's outputs. Throws `RequestError` when there is no such layer, or
 * when the earlier layers were not converted.
 */
export function skipLayers(
  outputs: readonly string[],
  skip: number,
  { isXl }: { readonly isXl: boolean },
): HiddenStatesChoice {
  if (skip === 0 && !isXl) return { output: 'last_hidden_state', normalize: false };
  const last = outputs.filter((name) => /^hidden_states\.\d+$/.test(name)).length - 1;
  if (skip === 0 && isXl && last < 0 && outputs.includes('hidden_embeds'))
    return { output: 'hidden_embeds', normalize: false };
  if (last < 0)
    throw new RequestError({
      problem: 'this text encoder outputs only its usual layer, so no layers can be skipped.',
      details: { 'it has': outputs.join(', ') },
      advice: 'Leave out --clip-skip.',
    });
  const usual = isXl ? last - 1 : last;
  if (!Number.isInteger(skip) || skip < 0 || skip > usual)
    throw new RequestError({
      problem: `${skip} layers of the text encoder cannot be skipped.`,
      details: { expected: `a whole number from 0 to ${usual}`, found: String(skip) },
    });
  return { output: `hidden_states.${usual - skip}`, normalize: !isXl };
}

/** Weights of a layer norm over `gain.length` channels. */
export interface LayerNorm {
  readonly gain: Float32Array;
  readonly bias: Float32Array;
  readonly epsilon: number;
}

/** Applies a layer norm to hidden states [rows,tokens,channels]. Throws `ShapeError` when the numbers of channels differ. */
export function normalizeHidden(
  hidden: TensorData<'f32'>,
  { gain, bias, epsilon }: LayerNorm,
): TensorData<'f32'> {
  const channels = hidden.shape.at(-1) ?? 0;
  if (channels !== gain.length || channels !== bias.length)
    throw new ShapeError({
      problem: 'The hidden states and the layer norm have different numbers of channels.',
      details: { expected: `${gain.length} channels`, found: `${channels} channels` },
    });
  const data = new Float32Array(hidden.data.length);
  for (let start = 0; start < data.length; start += channels) {
    const token = hidden.data.subarray(start, start + channels);
    const mean = token.reduce((total, value) => total + value, 0) / channels;
    const variance = token.reduce((total, value) => total + (value - mean) ** 2, 0) / channels;
    const scale = 1 / Math.sqrt(variance + epsilon);
    data.set(
      token.map((value, i) => (value - mean) * scale * (gain[i] ?? 1) + (bias[i] ?? 0)),
      start,
    );
  }
  return { dtype: 'f32', shape: hidden.shape, data };
}
