import { ShapeError } from '../errors.ts';
import { checkArguments, size } from '../io/check-call.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { tensor } from '../weights/tensor-schema.ts';
import { besideEachOther } from '../weights/tensor-values.ts';
import { pictureSizes } from './call-schemas.ts';

/** Size conditioning of Stable Diffusion XL, in pixels (Podell et al. 2023, §2.2). */
export interface PictureSizes {
  /** `original_size`: the picture looks as if it had been scaled from this size. */
  readonly original: readonly [height: number, width: number];
  /** `crops_coords_top_left`: the picture looks as if it had been cropped at this corner. */
  readonly crop: readonly [top: number, left: number];
  /** `target_size`: the size of the picture. */
  readonly target: readonly [height: number, width: number];
}

/** The UNet's `time_ids` [rows,6], the same in every row. */
export function timeIds(sizes: PictureSizes, rows: number): TensorData<'f32'> {
  checkArguments('timeIds', { sizes: [sizes, pictureSizes], rows: [rows, size] });
  const { original, crop, target } = sizes;
  return rowsOf(Array.from({ length: rows }, () => [...original, ...crop, ...target]));
}

/** diffusers' `aesthetic_score` and `negative_aesthetic_score`. */
const [AESTHETIC, NEGATIVE_AESTHETIC] = [6, 2.5];

/** A refiner's `time_ids` [rows,5]: an aesthetic score takes the place of the target size. The prompt's row is the last. */
export function refinerTimeIds({ original, crop }: PictureSizes, rows: number): TensorData<'f32'> {
  return rowsOf(
    Array.from({ length: rows }, (_, row) => [
      ...original,
      ...crop,
      row === rows - 1 ? AESTHETIC : NEGATIVE_AESTHETIC,
    ]),
  );
}

function rowsOf(rows: readonly (readonly number[])[]): TensorData<'f32'> {
  return { dtype: 'f32', shape: [rows.length, rows[0]?.length ?? 0], data: Float32Array.from(rows.flat()) };
}

/** Concatenates two encoders' hidden states, [B,S,C] and [B,S,D], to [B,S,C+D]. Throws `ShapeError` when B or S differ. */
export function joinChannels(a: TensorData<'f32'>, b: TensorData<'f32'>): TensorData<'f32'> {
  checkArguments('joinChannels', { a: [a, tensor], b: [b, tensor] });
  const [rows, tokens] = a.shape;
  const [otherRows, otherTokens] = b.shape;
  if (rows !== otherRows || tokens !== otherTokens)
    throw new ShapeError({
      problem: 'The hidden states of the two text encoders have different numbers of rows or tokens.',
      details: { 'the first': a.shape.join(' × '), 'the second': b.shape.join(' × ') },
    });
  return besideEachOther(a, b);
}

/** Copies a tensor and sets the given rows to zero. */
export function zeroRows(tensor: TensorData<'f32'>, rows: readonly number[]): TensorData<'f32'> {
  const data = tensor.data.slice();
  const size = data.length / (tensor.shape[0] ?? 1);
  for (const row of rows) data.fill(0, row * size, (row + 1) * size);
  return { ...tensor, data };
}
