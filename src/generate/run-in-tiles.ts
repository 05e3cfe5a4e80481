import { checkArguments } from '../io/check-call.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { tensor } from '../weights/tensor-schema.ts';
import { tileSizes } from './call-schemas.ts';

/** A square of a VAE's input, and of its output: 64 latents and 512 pixels in a decoder. */
export interface TileSizes {
  readonly input: number;
  readonly output: number;
}

/** Share of a tile that overlaps with the next one, as diffusers has it (`tile_overlap_factor`). */
const OVERLAP = 0.25;

/**
 * Runs a network on a large tensor [1,C,H,W] tile by tile, and joins the results with linear transitions, as diffusers'
 * `tiled_decode` and `tiled_encode` do: one tile's activations in memory instead of the whole picture's. The last tiles of
 * a row or column are what is left there. Throws what `run` throws.
 */
export async function runInTiles(
  input: TensorData<'f32'>,
  sizes: TileSizes,
  run: (tile: TensorData<'f32'>) => Promise<TensorData<'f32'>>,
): Promise<TensorData<'f32'>> {
  checkArguments('runInTiles', { input: [input, tensor], sizes: [sizes, tileSizes] });
  const { input: inputSize, output: outputSize } = sizes;
  const [, , height = 0, width = 0] = input.shape;
  if (height <= inputSize && width <= inputSize) return run(input);
  const step = Math.trunc(inputSize * (1 - OVERLAP));
  const blend = Math.trunc(outputSize * OVERLAP);
  const kept = outputSize - blend;
  const scale = outputSize / inputSize;
  const output = { rows: height * scale, columns: width * scale };
  let joined: TensorData<'f32'> | undefined;
  let above: TensorData<'f32'>[] = [];
  for (let top = 0, row = 0; top < height; top += step, row++) {
    const tiles: TensorData<'f32'>[] = [];
    for (let left = 0, column = 0; left < width; left += step, column++) {
      const tile = await run(crop(input, { top, left, size: inputSize }));
      const upper = above[column];
      if (upper) blendInto(tile, upper, blend, 'down');
      const before = tiles[column - 1];
      if (before) blendInto(tile, before, blend, 'across');
      tiles.push(tile);
      joined ??= zeros(tile.shape[1] ?? 0, output.rows, output.columns);
      paste(tile, joined, { top: row * kept, left: column * kept, size: kept });
    }
    above = tiles;
  }
  return joined ?? input;
}

interface Square {
  readonly top: number;
  readonly left: number;
  readonly size: number;
}

function zeros(channels: number, rows: number, columns: number): TensorData<'f32'> {
  const data = new Float32Array(channels * rows * columns);
  return { dtype: 'f32', shape: [1, channels, rows, columns], data };
}

function crop(tensor: TensorData<'f32'>, { top, left, size }: Square): TensorData<'f32'> {
  const [, channels = 0, height = 0, width = 0] = tensor.shape;
  const [rows, columns] = [Math.min(size, height - top), Math.min(size, width - left)];
  const part = zeros(channels, rows, columns);
  for (let row = 0; row < channels * rows; row++) {
    const from = (Math.floor(row / rows) * height + top + (row % rows)) * width + left;
    part.data.set(tensor.data.subarray(from, from + columns), row * columns);
  }
  return part;
}

/** Copies the upper left of a tile to where it belongs. */
function paste(tile: TensorData<'f32'>, into: TensorData<'f32'>, { top, left, size }: Square): void {
  const [, channels = 0, rows = 0, columns = 0] = tile.shape;
  const [, , height = 0, width = 0] = into.shape;
  const [usedRows, used] = [Math.min(size, rows, height - top), Math.min(size, columns, width - left)];
  for (let channel = 0; channel < channels; channel++)
    for (let row = 0; row < usedRows; row++) {
      const from = (channel * rows + row) * columns;
      into.data.set(tile.data.subarray(from, from + used), (channel * height + top + row) * width + left);
    }
}

/** Fades the end of a tile into the beginning of the next one, in place. */
function blendInto(
  tile: TensorData<'f32'>,
  { shape: other, data }: TensorData<'f32'>,
  most: number,
  direction: 'down' | 'across',
): void {
  const [, channels = 0, rows = 0, columns = 0] = tile.shape;
  const [, , otherRows = 0, otherColumns = 0] = other;
  const isDown = direction === 'down';
  const extent = isDown ? Math.min(otherRows, rows, most) : Math.min(otherColumns, columns, most);
  for (let channel = 0; channel < channels; channel++)
    for (let y = 0; y < (isDown ? extent : Math.min(rows, otherRows)); y++)
      for (let x = 0; x < (isDown ? Math.min(columns, otherColumns) : extent); x++) {
        const at = (channel * rows + y) * columns + x;
        const [otherY, otherX] = isDown ? [otherRows - extent + y, x] : [y, otherColumns - extent + x];
        const share = (isDown ? y : x) / extent;
        const ending = data[(channel * otherRows + otherY) * otherColumns + otherX] ?? 0;
        tile.data[at] =
          Math.fround(ending * Math.fround(1 - share)) +
          Math.fround((tile.data[at] ?? 0) * Math.fround(share));
      }
}
