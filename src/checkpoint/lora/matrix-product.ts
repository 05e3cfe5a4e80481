import { instantiateProduct, type ProductInstance, TILE_COLUMNS, TILE_ROWS } from './wasm-product.ts';

/** A matrix in memory, row-major. */
export interface DenseMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

/** Rows of a matrix, computed on demand. */
export interface MatrixRows {
  /** Rows `first` to `first + count`, row-major; the next call reuses the array. */
  rows(first: number, count: number): Float32Array;
  close(): void;
}

/** Pool of instances, for reuse; their memories keep the size they have grown to. */
const free: ProductInstance[] = [];

const PAGE = 1 << 16;

/**
 * Opens the product of two matrices in float32, for reading at most `maxRows` rows at a time. Holds both factors and
 * the rows in memory; must be closed.
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

/** Lays out the right factor as panels of [rank][8 columns], the last one padded with zeros. */
function layOutPanels({ rows, columns, data }: DenseMatrix, width: number, panels: Float32Array): void {
  let at = 0;
  for (let column = 0; column < width; column += TILE_COLUMNS) {
    for (let row = 0; row < rows; row++) {
      for (let i = column; i < column + TILE_COLUMNS; i++)
        panels[at++] = i < columns ? (data[row * columns + i] ?? 0) : 0;
    }
  }
}

/** Lays out rows of the left factor as tiles of [rank][4 rows], the last one padded with zeros. */
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
