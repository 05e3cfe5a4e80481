import { ShapeError } from '../../errors.ts';
import { checkArguments, list } from '../../io/check-call.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { tensor } from '../../weights/tensor-schema.ts';
import type { PromptChunk } from './prompt-chunks.ts';

/**
 * Joins the hidden states of a prompt's rows, [rows,tokens,channels], to [1,rows·tokens,channels], and applies the
 * prompt's weights as AUTOMATIC1111's web UI does: each token's states are multiplied by its weight, then all are
 * scaled so that the overall mean stays the same. If every weight is 1, the values are returned bit for bit. SDXL's
 * pooled embedding is the first row's and is not weighted. Throws `ShapeError` when the hidden states have another
 * number of rows or tokens.
 */
export function joinChunks(hidden: TensorData<'f32'>, chunks: readonly PromptChunk[]): TensorData<'f32'> {
  checkArguments('joinChunks', { hidden: [hidden, tensor], chunks: [chunks, list] });
  const [rows = 0, tokens = 0, channels = 0] = hidden.shape;
  const weights = chunks.flatMap((chunk) => chunk.weights);
  if (hidden.shape.length !== 3 || rows !== chunks.length || weights.length !== rows * tokens)
    throw new ShapeError({
      problem: 'The hidden states do not match the prompt.',
      details: {
        expected: `${chunks.length} rows, ${weights.length} tokens`,
        found: hidden.shape.join(' × '),
      },
    });
  const shape = [1, rows * tokens, channels];
  if (weights.every((weight) => weight === 1)) return { dtype: 'f32', shape, data: hidden.data };
  const weighted = hidden.data.map((value, i) => value * (weights[Math.floor(i / channels)] ?? 1));
  const scale = sum(hidden.data) / sum(weighted);
  // If the weights cancel out, the mean cannot be restored.
  const data = Number.isFinite(scale) ? weighted.map((value) => value * scale) : weighted;
  return { dtype: 'f32', shape, data };
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
