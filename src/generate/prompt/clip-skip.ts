import { RequestError, ShapeError } from '../../errors.ts';
import type { TensorData } from '../../weights/tensor-data.ts';

/** Which hidden states of a text encoder the UNet reads. */
export interface HiddenStatesChoice {
  /** The output's name. */
  readonly output: string;
  /** Whether the encoder's last normalization is still to be done to it (`normalizeHidden`). */
  readonly normalize: boolean;
}

/**
 * The output of a text encoder that diffusers reads with `clip_skip`: that many layers before the usual one. Stable
 * Diffusion 1 and 2 usually read the last layer, XL the last but one; earlier layers of the first need the encoder's
 * `final_layer_norm`. `outputs`: names of the encoder's outputs. Throws `RequestError` for a number that it has no layer
 * for, or when its earlier layers were not converted.
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
      problem: 'this text encoder gives no layers but the usual one, so none can be skipped.',
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

/** The weights of a layer normalization over `gain.length` channels. */
export interface LayerNorm {
  readonly gain: Float32Array;
  readonly bias: Float32Array;
  readonly epsilon: number;
}

/** Hidden states [rows, tokens, channels], normalized. Throws `ShapeError` when the channels are others than the norm's. */
export function normalizeHidden(
  hidden: TensorData<'f32'>,
  { gain, bias, epsilon }: LayerNorm,
): TensorData<'f32'> {
  const channels = hidden.shape.at(-1) ?? 0;
  if (channels !== gain.length || channels !== bias.length)
    throw new ShapeError({
      problem: 'The hidden states and the normalization have different channels.',
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
