import { describe, expect, test } from 'vitest';
import { mergedWeight } from '../../../src/checkpoint/lora/merged-weight.ts';
import { type Change, readChange } from '../../../src/checkpoint/lora/module-change.ts';
import { UnsupportedModelError } from '../../../src/errors.ts';
import { BLOCK_BYTES } from '../../../src/io/bytes.ts';
import { float16Bits } from '../../../src/weights/convert-dtype.ts';
import { readTensor } from '../../../src/weights/tensor-data.ts';
import type { Weight } from '../../../src/weights/weight.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const rank = 3;
const scale = 0.7;

describe.each([
  [700, [1000]], // rows that end at no block's end
  [30, [64, 3, 3]],
  [3, [300_000]], // one row is more than a block
])('a weight of %i × [%s] comes in many blocks', (rows, rest) => {
  const columns = rest.reduce((a, b) => a * b);
  const values = numbers(rows * columns, 1);
  const base = memoryWeight('layer.weight', [rows, ...rest], values);
  const [up, down] = [numbers(rows * rank, 2), numbers(rank * columns, 3)];
  const change = loraOf(memoryWeight('up', [rows, rank], up), memoryWeight('down', [rank, ...rest], down));
  const merged = mergedWeight(base, change, scale);
  const expected = values.map((value, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += (up[row * rank + k] ?? 0) * (down[k * columns + column] ?? 0);
    return value + scale * sum;
  });

  test('with the same numbers as at once', async () => {
    const { data } = await readTensor(merged, 'f32');
    let worst = 0;
    for (const [i, value] of data.entries()) worst = Math.max(worst, Math.abs(value - (expected[i] ?? 0)));
    expect(worst).toBeLessThan(1e-6); // three roundings of numbers below 4: 4 · 3 · 2⁻²⁵ = 3.6e-7
  });

  test('rounded once to float16', async () => {
    const [exact, rounded] = [await readTensor(merged, 'f32'), await readTensor(merged, 'f16')];
    expect(sameNumbers(rounded.data, Uint16Array.from(exact.data, float16Bits))).toBe(true);
  });

  test('and the base keeps its own', async () => {
    const before = values.slice();
    await readTensor(merged, 'f32');
    expect(sameNumbers(values, before)).toBe(true);
  });
});

test('streams no more than a block at a time', async () => {
  const [rows, columns] = [1280, 1280];
  const base = memoryWeight('layer.weight', [rows, columns], numbers(rows * columns, 1));
  const change = loraOf(
    memoryWeight('up', [rows, 1], numbers(rows, 2)),
    memoryWeight('down', [1, columns], numbers(columns, 3)),
  );
  let blocks = 0;
  for await (const block of mergedWeight(base, change, 1).stream('f32')) {
    expect(block.length).toBeLessThanOrEqual(BLOCK_BYTES);
    blocks++;
  }
  expect(blocks).toBe(7);
});

test('two merges at once do not disturb each other', async () => {
  const [rows, columns] = [600, 900];
  const base = memoryWeight('layer.weight', [rows, columns], numbers(rows * columns, 1));
  const merges = [2, 3].map((seed) => {
    const up = memoryWeight('up', [rows, rank], numbers(rows * rank, seed));
    const down = memoryWeight('down', [rank, columns], numbers(rank * columns, seed));
    return mergedWeight(base, loraOf(up, down), scale);
  });
  const together = await Promise.all(merges.map((weight) => readTensor(weight, 'f32')));
  for (const [i, weight] of merges.entries()) {
    const { data } = await readTensor(weight, 'f32');
    expect(sameNumbers(data, together[i]?.data ?? [])).toBe(true);
  }
});

test('a dtype that floats do not convert to is refused', async () => {
  const base = memoryWeight('layer.weight', [2, 2], numbers(4, 1));
  const change = loraOf(
    memoryWeight('up', [2, 1], numbers(2, 2)),
    memoryWeight('down', [1, 2], numbers(2, 3)),
  );
  const error = await rejectionOf(readTensor(mergedWeight(base, change, 1), 'i32'));
  expect(error).toBeInstanceOf(UnsupportedModelError);
});

function loraOf(up: Weight, down: Weight): Change {
  return readChange({
    module: 'lora_unet_layer',
    networks: ['unet'],
    name: 'layer',
    parts: new Map([
      ['up', up],
      ['down', down],
    ]),
    defaults: {},
  });
}

/** Comparing a million numbers one by one is not what `toEqual` is for. */
function sameNumbers(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  return a.length === b.length && Array.from(a).every((value, i) => Object.is(value, b[i]));
}

function numbers(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898 + seed * 78.233));
}
