import { expect, test } from 'vitest';
import { readTensor } from '../../src/weights/tensor-data.ts';
import { unitRows } from '../../src/weights/unit-rows.ts';
import { memoryWeight } from '../support/memory-weight.ts';

const matrix = memoryWeight('concepts', [3, 2], Float32Array.of(3, -4, 0, 0, 1e30, 0));

test('every row has length 1, one of zeros stays as it is', async () => {
  const { data } = await readTensor(unitRows(matrix), 'f32');
  expect([...data]).toEqual([0.6, -0.8, 0, 0, 1, 0].map(Math.fround));
});

test('rows are rounded once, after they are divided: 10³⁰ has no float16, its direction has', async () => {
  const { data } = await readTensor(unitRows(matrix), 'f16');
  expect([...data]).toEqual([0x38cd, 0xba66, 0, 0, 0x3c00, 0]);
});
