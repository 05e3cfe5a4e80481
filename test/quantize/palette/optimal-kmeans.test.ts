import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { float16Values } from '../../../src/quantize/palette/float16-values.ts';
import { optimalKMeans } from '../../../src/quantize/palette/optimal-kmeans.ts';

/** What a clustering costs, in whole multiples of 2⁻⁴⁸, of which every float16 square is one: times the product of the clusters' counts nothing is rounded. */
function cost(values: readonly number[], counts: readonly number[], ends: Iterable<number>): number {
  let [begin, sum] = [0, 0];
  for (const end of ends) {
    sum += stretchCost(values.slice(begin, end), counts.slice(begin, end));
    begin = end;
  }
  return sum;
}

/** Σ count · (x − mean)², without a rounding but the last. */
function stretchCost(values: readonly number[], counts: readonly number[]): number {
  let [count, sum, squares] = [0n, 0n, 0n];
  values.forEach((value, i) => {
    const [x, times] = [BigInt(value * 2 ** 24), BigInt(counts[i] ?? 0)];
    count += times;
    sum += times * x;
    squares += times * x * x;
  });
  return Number(squares * count - sum * sum) / Number(count) / 2 ** 48;
}

/** The least cost there is, by trying every way to cut (O(k·n²)). */
function leastCost(values: readonly number[], counts: readonly number[], k: number): number {
  const n = values.length;
  let best = [0, ...Array<number>(n).fill(Number.POSITIVE_INFINITY)];
  for (let cluster = 0; cluster < k; cluster++) {
    best = best.map((_, end) =>
      Math.min(
        ...Array.from({ length: end }, (_, begin) => {
          return (best[begin] ?? 0) + stretchCost(values.slice(begin, end), counts.slice(begin, end));
        }),
      ),
    );
  }
  return best[n] ?? 0;
}

function clustered(values: readonly number[], counts: readonly number[], k: number) {
  return optimalKMeans(Float64Array.from(values), Float64Array.from(counts), k);
}

function expectLeast(values: readonly number[], counts: readonly number[], k: number): void {
  const { ends } = clustered(values, counts, k);
  expect(ends.length).toBe(Math.min(k, values.length));
  const least = leastCost(values, counts, Math.min(k, values.length));
  // float64 sums of a few dozen terms; measured: 6e-16.
  expect(cost(values, counts, ends)).toBeLessThanOrEqual(least * (1 + 1e-12));
}

const finite = [...float16Values().keys()].filter((code) => (code & 0x7fff) < 0x7c00 && code !== 0x8000);

/** Distinct float16 numbers, ascending. */
function numbers(codes: readonly number[]): number[] {
  return codes.map((code) => float16Values()[code] ?? 0).sort((a, b) => a - b);
}

describe('no clustering has a smaller error', () => {
  const counted = fc.uniqueArray(fc.constantFrom(...finite), { minLength: 2, maxLength: 14 }).chain((codes) =>
    fc.tuple(
      fc.constant(numbers(codes)),
      fc.array(fc.integer({ min: 1, max: 2 ** 31 - 1 }), {
        minLength: codes.length,
        maxLength: codes.length,
      }),
    ),
  );

  test('for any float16 numbers and counts', () => {
    fc.assert(
      fc.property(counted, fc.integer({ min: 1, max: 8 }), ([values, counts], k) =>
        expectLeast(values, counts, k),
      ),
      { numRuns: 150 },
    );
  });

  test.each([2, 4, 8])('where many are equally good: 40 numbers at equal distances, k = %d', (k) => {
    const values = Array.from({ length: 40 }, (_, i) => i - 13);
    expectLeast(
      values,
      values.map(() => 3),
      k,
    );
  });

  test.each([
    [
      'thousandths beside numbers near 60,000',
      [...numbers([0x1401, 0x1402, 0x1403, 0x1404, 0x1405, 0x1406]), 59968, 60000, 60032, 60064],
    ],
    [
      'thousandths between numbers near −60,000 and 60,000',
      [-60064, -60000, ...numbers([0x1401, 0x1402, 0x1403, 0x1404, 0x1405, 0x1406]), 60000, 60064],
    ],
    ['the smallest numbers beside the largest', [2 ** -24, 2 ** -23, 3 * 2 ** -24, 65472, 65504]],
    [
      'neighbours far from zero, one of them ten million times as frequent',
      [1, 1 + 2 ** -10, 1 + 2 ** -9, 1 + 3 * 2 ** -10, 2, 2 + 2 ** -9],
    ],
  ])('with %s', (_, values) => {
    const counts = values.map((_, i) => (i % 3 === 0 ? 1e7 : 2 * i + 1));
    for (let k = 1; k < values.length; k++) expectLeast(values, counts, k);
  });
});

test('no more numbers than clusters: each is its own centre', () => {
  const { ends, centres } = clustered([-2, 0, 0.5], [5, 1, 7], 4);
  expect([...ends]).toEqual([1, 2, 3]);
  expect([...centres]).toEqual([-2, 0, 0.5]);
});

test('centres are the means of their numbers', () => {
  expect([...clustered([0, 1, 10, 14], [3, 1, 1, 1], 2).centres]).toEqual([0.25, 12]);
});

test('all 63,487 float16 numbers fall into 256 clusters, in well under a second', () => {
  const values = numbers(finite);
  const start = performance.now();
  const { ends, centres } = clustered(
    values,
    values.map(() => 1),
    256,
  );
  expect(ends.length).toBe(256);
  expect([...centres]).toEqual([...centres].sort((a, b) => a - b));
  // 0.3 s measured; a loop over k·n² would take hours.
  expect(performance.now() - start).toBeLessThan(6000);
});
