import { elementCount } from '../dtype.ts';

/** Layout of scales over a tensor as a matrix: its first axis by all others. */
export interface ScaleGrid {
  /** Elements of a row of the tensor. */
  readonly columns: number;
  /** Rows and columns that share a scale. */
  readonly block: readonly [rows: number, columns: number];
  /** Scales of a row of scales. */
  readonly scalesPerRow: number;
}

/** The block of 128 × 128 that the scales of whole blocks are usually for; only the last may be smaller. */
const USUAL_BLOCK = 128;

/**
 * The grid of scales of this shape over a tensor: one for all, one for each of the first axis, or for matrices one for
 * each block. `undefined` where the shapes do not fit.
 */
export function scaleGrid(shape: readonly number[], scaleShape: readonly number[]): ScaleGrid | undefined {
  const [rows = 1, ...row] = shape;
  const columns = elementCount(row);
  const scales = elementCount(scaleShape);
  if (scales === 1) return { columns: rows * columns, block: [1, rows * columns], scalesPerRow: 1 };
  if (scales === rows && scaleShape[0] === rows) return { columns, block: [1, columns], scalesPerRow: 1 };
  if (shape.length !== 2 || scaleShape.length !== 2) return undefined;
  const [blockRows, blockColumns] = [blockSize(rows, scaleShape[0]), blockSize(columns, scaleShape[1])];
  if (blockRows === undefined || blockColumns === undefined) return undefined;
  return { columns, block: [blockRows, blockColumns], scalesPerRow: scaleShape[1] ?? 1 };
}

function blockSize(size: number, count = 1): number | undefined {
  if (Math.ceil(size / USUAL_BLOCK) === count) return USUAL_BLOCK;
  return count > 0 && size % count === 0 ? size / count : undefined;
}

/** Multiplies elements, of which the first is the tensor's `first`, each by its scale; the products are rounded to float32. */
export function applyScales(
  values: Float32Array,
  first: number,
  scales: Float32Array,
  { columns, block: [blockRows, blockColumns], scalesPerRow }: ScaleGrid,
): void {
  for (let at = 0; at < values.length; ) {
    const column = (first + at) % columns;
    const row = (first + at - column) / columns;
    const scale = scales[Math.floor(row / blockRows) * scalesPerRow + Math.floor(column / blockColumns)] ?? 0;
    const end = Math.min(values.length, at + columns - column, at + blockColumns - (column % blockColumns));
    for (; at < end; at++) values[at] = (values[at] ?? 0) * scale;
  }
}
