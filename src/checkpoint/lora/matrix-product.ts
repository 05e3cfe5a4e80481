import { instantiateProduct, type ProductInstance, TILE_COLUMNS, TILE_ROWS } from './wasm-product.ts';

/** A matrix in memory, row-major. */
export interface DenseMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

/** Rows of a matrix that is computed as it is asked for. */
export interface MatrixRows {
  /** Rows `first` to `first + count`, row-major; the array is used again by the next call. */
  rows(first: number, count: number): Float32Array;
  close(): void;
}

/** Instances, their memories grown to what they were last used for, lent again and again. */
const free: ProductInstance[] = [];

const PAGE = 1 << 16;

/**
 * The product of two matrices, at most `maxRows` rows at a time, in float32. Holds both factors and the rows asked for,
 * and must be closed.
 */
export function openProduct(up: DenseMatrix, down: DenseMatrix, maxRows: number): MatrixRows {
  const instance = free.pop() ?? instantiateProduct();
  const rank = down.rows;
  const { columns } = down;
  const width = Math.ceil(columns / TILE_COLUMNS) * TILE_COLUMNS;
  const height = Math.ceil(maxRows / TILE_ROWS) * TILE_ROWS;
  const upAt = height * width;
  const downAt = upAt + height * rank;
  const memory = reserve(instance, 4 * (downAt + rank * width));
  const out = memory.subarray(0, upAt);
  const upTiles = memory.subarray(upAt, downAt);
  layOutPanels(down, width, memory.subarray(downAt, downAt + rank * width));

  return {
    rows(first, count) {
      layOutTiles(up, first, count, upTiles);
      instance.product(0, 4 * upAt, 4 * downAt, Math.ceil(count / TILE_ROWS), 4 * width, rank);
      if (width !== columns) {
        for (let row = 1; row < count; row++)
          out.copyWithin(row * columns, row * width, row * width + columns);
      }
      return out.subarray(0, count * columns);
    },
    close: () => free.push(instance),
  };
}

function reserve({ memory }: ProductInstance, bytes: number): Float32Array {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  return new Float32Array(memory.buffer);
}

/** The right factor, as panels of [rank][8 columns], the last one filled up with zeros. */
function layOutPanels({ rows, columns, data }: DenseMatrix, width: number, panels: Float32Array): void {
  let at = 0;
  for (let column = 0; column < width; column += TILE_COLUMNS) {
    for (let row = 0; row < rows; row++) {
      for (let i = column; i < column + TILE_COLUMNS; i++)
        panels[at++] = i < columns ? (data[row * columns + i] ?? 0) : 0;
    }
  }
}

/** Some rows of the left factor, as tiles of [rank][4 rows], the last one filled up with zeros. */
function layOutTiles(
  { columns, data }: DenseMatrix,
  first: number,
  count: number,
  tiles: Float32Array,
): void {
  let at = 0;
  for (let row = 0; row < count; row += TILE_ROWS) {
    for (let column = 0; column < columns; column++) {
      for (let i = row; i < row + TILE_ROWS; i++)
        tiles[at++] = i < count ? (data[(first + i) * columns + column] ?? 0) : 0;
    }
  }
}
