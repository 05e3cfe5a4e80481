import { FileFormatError } from '../../errors.ts';
import { elementCount } from '../../weights/dtype.ts';
import { readTensor } from '../../weights/tensor-data.ts';
import type { Weight } from '../../weights/weight.ts';
import { type DenseMatrix, type MatrixRows, openProduct } from './matrix-product.ts';
import type { Change, Matrix } from './module-change.ts';

/**
 * Reads a change's factors; its rows are computed on demand, at most `maxRows` at a time, without the factor of alpha.
 * Throws `FileFormatError` for numbers that are not finite.
 */
export async function openChange({ kind, matrices }: Change, maxRows: number): Promise<MatrixRows> {
  if (kind === 'LoKr') {
    const [first, second] = await Promise.all(matrices.map(readWhole));
    if (first && second) return kroneckerProduct(first, second, maxRows);
  }
  const [first, second] = await Promise.all(matrices.map((matrix) => openMatrix(matrix, maxRows)));
  if (!first) throw new Error('a change without a matrix');
  return second ? elementProduct(first, second) : first;
}

/** Factor of a change: alpha / rank, or 1 where the file has no alpha. */
export async function readScale({ rank, alpha, rankStabilized }: Change): Promise<number> {
  if (alpha === undefined || rank === undefined) return 1;
  const value = typeof alpha === 'number' ? alpha : await readNumber(alpha);
  return value / (rankStabilized ? Math.sqrt(rank) : rank);
}

/** Reads the first number of a tensor of any dtype: some trainers write alpha as an integer, or in float64. */
async function readNumber(weight: Weight): Promise<number> {
  const isFloat = /^b?f\d/.test(weight.dtype);
  if (isFloat) return (await readFinite(weight))[0] ?? 0;
  return Number((await readTensor(weight, weight.dtype)).data[0] ?? 0);
}

/** Reads a tensor of the LoRA as float32. Throws `FileFormatError` when one is not finite. */
export async function readFinite(weight: Weight): Promise<Float32Array> {
  const { data } = await readTensor(weight, 'f32');
  const wrong = data.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return data;
  throw new FileFormatError({
    problem: `${weight.file} holds a number that is not finite.`,
    details: { tensor: weight.name, found: `${data[wrong]} at element ${wrong}` },
    advice: 'The training went wrong or the file is damaged: use another version of the LoRA.',
  });
}

async function openMatrix(matrix: Matrix, maxRows: number): Promise<MatrixRows> {
  const { up, down } = await readFactors(matrix);
  return openProduct(up, down, maxRows);
}

async function readWhole(matrix: Matrix): Promise<DenseMatrix> {
  const { rows, columns } = matrix;
  if (!matrix.up) return { rows, columns, data: await readFinite(matrix.down) };
  const product = await openMatrix(matrix, rows);
  try {
    return { rows, columns, data: product.rows(0, rows).slice() };
  } finally {
    product.close();
  }
}

async function readFactors(
  matrix: Matrix,
): Promise<{ readonly up: DenseMatrix; readonly down: DenseMatrix }> {
  const { rows, columns, transposed, core } = matrix;
  if (!matrix.up) throw new Error('a product without a left factor');
  const [rank = 0] = matrix.down.shape;
  const left = await readFinite(matrix.up);
  const up = { rows, columns: rank, data: transposed ? transpose(left, rank, rows) : left };
  const right = await readFinite(matrix.down);
  const data = core ? throughCore(await readFinite(core), right, rank, columns) : right;
  return { up, down: { rows: rank, columns, data } };
}

function transpose(data: Float32Array, rows: number, columns: number): Float32Array {
  return data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
}

/** Product of the core, (rank) × (rank) × kernel, and the right factor, (rank) × (inputs): (rank) × (inputs · kernel). */
function throughCore(core: Float32Array, right: Float32Array, rank: number, columns: number): Float32Array {
  const kernel = core.length / rank ** 2;
  const inputs = right.length / rank;
  const product = new Float32Array(rank * columns);
  for (let row = 0; row < rank; row++) {
    for (let term = 0; term < rank; term++) {
      for (let t = 0; t < kernel; t++) {
        const factor = core[(row * rank + term) * kernel + t] ?? 0;
        for (let i = 0; i < inputs; i++) {
          const at = row * columns + i * kernel + t;
          product[at] = (product[at] ?? 0) + factor * (right[term * inputs + i] ?? 0);
        }
      }
    }
  }
  return product;
}

function elementProduct(a: MatrixRows, b: MatrixRows): MatrixRows {
  return {
    rows(first, count) {
      const product = a.rows(first, count);
      const other = b.rows(first, count);
      for (let i = 0; i < product.length; i++) product[i] = (product[i] ?? 0) * (other[i] ?? 0);
      return product;
    },
    close() {
      a.close();
      b.close();
    },
  };
}

/** Kronecker product: every element of `a` times all of `b`. */
function kroneckerProduct(a: DenseMatrix, b: DenseMatrix, maxRows: number): MatrixRows {
  const columns = a.columns * b.columns;
  const product = new Float32Array(elementCount([maxRows, columns]));
  return {
    rows(first, count) {
      let at = 0;
      for (let row = first; row < first + count; row++) {
        const aRow = Math.floor(row / b.rows) * a.columns;
        const bRow = (row % b.rows) * b.columns;
        for (let i = aRow; i < aRow + a.columns; i++) {
          const factor = a.data[i] ?? 0;
          for (let j = bRow; j < bRow + b.columns; j++) product[at++] = factor * (b.data[j] ?? 0);
        }
      }
      return product.subarray(0, count * columns);
    },
    close() {},
  };
}
