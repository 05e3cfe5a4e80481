import { ShapeError } from '../../errors.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import type { PromptChunk } from './prompt-chunks.ts';

/**
 * Hidden states of a prompt's rows [rows, tokens, channels] → of the whole prompt [1, rows · tokens, channels], each token
 * as strong as it is meant: its states are multiplied by its weight, and all of them then by what brings their mean back,
 * as AUTOMATIC1111's web UI does. Without weights the numbers are those of the text encoder, to the bit. SDXL's pooled
 * text is the first row's, without weights. Throws `ShapeError` for states of another number of rows or tokens.
 */
export function joinChunks(hidden: TensorData<'f32'>, chunks: readonly PromptChunk[]): TensorData<'f32'> {
  const [rows = 0, tokens = 0, channels = 0] = hidden.shape;
  const weights = chunks.flatMap((chunk) => chunk.weights);
  if (hidden.shape.length !== 3 || rows !== chunks.length || weights.length !== rows * tokens)
    throw new ShapeError({
      problem: 'These hidden states are not those of the prompt.',
      details: {
        expected: `${chunks.length} rows, ${weights.length} tokens`,
        found: hidden.shape.join(' × '),
      },
    });
  const shape = [1, rows * tokens, channels];
  if (weights.every((weight) => weight === 1)) return { dtype: 'f32', shape, data: hidden.data };
  const weighted = hidden.data.map((value, i) => value * (weights[Math.floor(i / channels)] ?? 1));
  const back = sum(hidden.data) / sum(weighted);
  // Weights that cancel leave no mean to bring back.
  const data = Number.isFinite(back) ? weighted.map((value) => value * back) : weighted;
  return { dtype: 'f32', shape, data };
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
