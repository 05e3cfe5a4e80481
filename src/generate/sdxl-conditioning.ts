import { ShapeError } from '../errors.ts';
import type { TensorData } from '../weights/tensor-data.ts';

/** What Stable Diffusion XL is told of a picture's size, in pixels (Podell et al. 2023, §2.2). */
export interface PictureSizes {
  /** Height and width that the picture is to look as if it had been scaled from. */
  readonly original: readonly [height: number, width: number];
  /** Where it is to look as if it had been cropped. */
  readonly crop: readonly [top: number, left: number];
  /** Its own. */
  readonly target: readonly [height: number, width: number];
}

/** The sizes as the UNet takes them: [rows,6], the same for all. */
export function timeIds({ original, crop, target }: PictureSizes, rows: number): TensorData<'f32'> {
  const row = [...original, ...crop, ...target];
  return {
    dtype: 'f32',
    shape: [rows, row.length],
    data: Float32Array.from({ length: rows * row.length }, (_, i) => row[i % row.length] ?? 0),
  };
}

/** Two encoders' states of the same tokens, [B,S,C] and [B,S,D], side by side: [B,S,C+D]. Throws `ShapeError` for other tokens. */
export function joinChannels(a: TensorData<'f32'>, b: TensorData<'f32'>): TensorData<'f32'> {
  const [rows = 0, tokens = 0, own = 0] = a.shape;
  const [otherRows, otherTokens, other = 0] = b.shape;
  if (rows !== otherRows || tokens !== otherTokens)
    throw new ShapeError({
      problem: 'The two text encoders give states of different tokens.',
      details: { 'the first': a.shape.join(' × '), 'the second': b.shape.join(' × ') },
    });
  const data = new Float32Array(a.data.length + b.data.length);
  for (let token = 0; token < rows * tokens; token++) {
    data.set(a.data.subarray(token * own, (token + 1) * own), token * (own + other));
    data.set(b.data.subarray(token * other, (token + 1) * other), token * (own + other) + own);
  }
  return { dtype: 'f32', shape: [rows, tokens, own + other], data };
}

/** A tensor of which some rows are zeros. */
export function zeroRows(tensor: TensorData<'f32'>, rows: readonly number[]): TensorData<'f32'> {
  const data = tensor.data.slice();
  const size = data.length / (tensor.shape[0] ?? 1);
  for (const row of rows) data.fill(0, row * size, (row + 1) * size);
  return { ...tensor, data };
}
