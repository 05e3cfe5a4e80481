import { expect, test } from 'vitest';
import { type DenseMatrix, openProduct } from '../../../src/checkpoint/lora/matrix-product.ts';

/** Rows × rank × columns; nothing here is a multiple of the tiles but where it says so. */
const sizes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [4, 1, 8], // one tile
  [5, 3, 9],
  [13, 128, 81], // the columns of an inpainting model's first convolution
  [64, 16, 320],
];

test.each(sizes)('%d × %d × %d is what a plain loop gives, in float32', (rows, rank, columns) => {
  const [up, down] = [matrix(rows, rank), matrix(rank, columns)];
  const product = openProduct(up, down, 6);
  for (let first = 0; first < rows; first += 6) {
    const count = Math.min(6, rows - first);
    const found = product.rows(first, count);
    expect(found.length).toBe(count * columns);
    found.forEach((value, i) => {
      const row = first + Math.floor(i / columns);
      let expected = 0;
      let magnitude = 0;
      for (let k = 0; k < rank; k++) {
        const term = (up.data[row * rank + k] ?? 0) * (down.data[k * columns + (i % columns)] ?? 0);
        expected += term;
        magnitude += Math.abs(term);
      }
      // Each of the rank's sums and products rounds once, by at most 2⁻²⁴.
      expect(Math.abs(value - expected)).toBeLessThanOrEqual((rank + 1) * 2 ** -24 * magnitude);
    });
  }
  product.close();
});

test('two products at once do not disturb each other', () => {
  const [one, other] = [1, 2].map((value) => openProduct(constant(2, 1, value), constant(1, 3, value), 2));
  const first = one?.rows(0, 2);
  expect(other?.rows(0, 2)).toEqual(Float32Array.of(4, 4, 4, 4, 4, 4));
  expect(first).toEqual(Float32Array.of(1, 1, 1, 1, 1, 1));
  one?.close();
  other?.close();
});

function matrix(rows: number, columns: number): DenseMatrix {
  const data = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * i + rows));
  return { rows, columns, data };
}

function constant(rows: number, columns: number, value: number): DenseMatrix {
  return { rows, columns, data: new Float32Array(rows * columns).fill(value) };
}
