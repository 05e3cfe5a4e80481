import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Chunk, type ChunkOperation, type CrossingValue, planChunks } from '../../src/chunk/plan.ts';
import { ChunkBudgetError } from '../../src/errors.ts';
import { thrownBy } from '../support/thrown-by.ts';

interface Network {
  readonly operations: readonly ChunkOperation[];
  readonly values: ReadonlyMap<string, CrossingValue>;
  readonly maxBytes: number;
}

/** Networks with long and short skips, weightless operations, and a budget that at least every single one fits in. */
const networks: fc.Arbitrary<Network> = fc
  .array(
    fc.record({
      weightBytes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1000 })),
      byteLength: fc.integer({ min: 1, max: 100 }),
      // How far back it reads, beside what comes just before it.
      skip: fc.option(fc.integer({ min: 2, max: 12 })),
    }),
    { minLength: 2, maxLength: 40 },
  )
  .chain((rows) => {
    const operations = rows.map(({ weightBytes, skip }, i) => ({
      reads: [1, ...(skip ? [skip] : [])].filter((back) => back <= i).map((back) => `value${i - back}`),
      writes: [`value${i}`],
      weightBytes,
    }));
    const values = new Map(rows.map(({ byteLength }, i) => [`value${i}`, { byteLength }]));
    const largest = Math.max(1, ...rows.map(({ weightBytes }) => weightBytes));
    return fc
      .integer({ min: largest, max: largest * 4 })
      .map((maxBytes) => ({ operations, values, maxBytes }));
  });

function plan({ operations, values, maxBytes }: Network): readonly Chunk[] {
  return planChunks(operations, values, maxBytes);
}

test('chunks are the operations in their order, none left out, none empty', () => {
  fc.assert(
    fc.property(networks, (network) => {
      const chunks = plan(network);
      expect(chunks.length).toBeGreaterThanOrEqual(2);
      expect(chunks.map(({ from }) => from)).toEqual([0, ...chunks.slice(0, -1).map(({ to }) => to)]);
      expect(chunks.at(-1)?.to).toBe(network.operations.length);
      for (const { from, to } of chunks) expect(to).toBeGreaterThan(from);
    }),
  );
});

test('every chunk is under the budget and knows its size', () => {
  fc.assert(
    fc.property(networks, (network) => {
      for (const { from, to, weightBytes } of plan(network)) {
        expect(weightBytes).toBe(weightOf(network, from, to));
        expect(weightBytes).toBeLessThanOrEqual(network.maxBytes);
      }
    }),
  );
});

test('there are as few chunks as the budget allows, but two', () => {
  fc.assert(
    fc.property(networks, (network) => {
      expect(plan(network)).toHaveLength(Math.max(2, fewest(network, 0)));
    }),
  );
});

test('a cut is the cheapest near the even share; where none is near, it is the nearest', () => {
  fc.assert(
    fc.property(networks, (network) => {
      const chunks = plan(network);
      const total = weightOf(network, 0, network.operations.length);
      chunks.slice(0, -1).forEach(({ from, to }, k) => {
        const distance = (at: number): number =>
          Math.abs(weightOf(network, 0, at) - (total * (k + 1)) / chunks.length);
        const possible = network.operations.flatMap((_, at) =>
          at > from &&
          weightOf(network, from, at) <= network.maxBytes &&
          fewest(network, at) <= chunks.length - k - 1
            ? [at]
            : [],
        );
        const near = possible.filter((at) => distance(at) <= total * 0.025);
        if (near.length > 0)
          expect(crossing(network, to)).toBe(Math.min(...near.map((at) => crossing(network, at))));
        else expect(distance(to)).toBe(Math.min(...possible.map(distance)));
      });
    }),
  );
});

test('what has no known size is never cut through', () => {
  const operations = chain([10, 10, 10, 10]);
  const values = new Map([0, 1, 3].map((i) => [`value${i}`, { byteLength: 1 }]));
  // Between the second and the third operation only `value1` crosses; `value2` is of an unknown type.
  expect(planChunks(operations, values, 20).map(({ to }) => to)).toEqual([2, 4]);
  expect(() => planChunks(operations, new Map(), 20)).toThrow(ChunkBudgetError);
  const withoutMiddle = new Map([0, 2, 3].map((i) => [`value${i}`, { byteLength: 1 }]));
  expect(planChunks(operations, withoutMiddle, 20).map(({ to }) => to)).toEqual([1, 3, 4]);
});

test('a cut goes around a place where much would cross', () => {
  // The even share is at 50, between the operation that makes something large and the one that reads it.
  const operations = chain(Array(100).fill(10)).map((operation, i) =>
    i === 49
      ? { ...operation, writes: ['value49', 'large'] }
      : i === 50
        ? { ...operation, reads: ['value49', 'large'] }
        : operation,
  );
  const values = new Map(
    [...Array(100).keys()].map((i): [string, CrossingValue] => [`value${i}`, { byteLength: 1 }]),
  );
  values.set('large', { byteLength: 1000 });
  expect(planChunks(operations, values, 600).map(({ to }) => to)).toEqual([49, 100]);
});

describe('a budget that cannot be met', () => {
  test('is refused with the numbers that say why', () => {
    const error = thrownBy(() => planChunks(chain([3e9, 0.5e9]), valuesOf(2), 1e9));
    expect(error).toBeInstanceOf(ChunkBudgetError);
    expect(error.problem).toBe('no chunks can stay under 1.00 GB: the model holds 3.50 GB of weights.');
    expect(error.details).toEqual({ 'largest single operation': '3.00 GB' });
    expect(error.advice).toContain('--max-chunk-size');
  });

  test('is refused for a model of one operation, of which there are no two chunks', () => {
    expect(() => planChunks(chain([10]), valuesOf(1), 100)).toThrow(ChunkBudgetError);
    expect(() => planChunks([], new Map(), 100)).toThrow(ChunkBudgetError);
  });

  test('is refused when it is nothing', () => {
    expect(() => planChunks(chain([10, 10]), valuesOf(2), 0)).toThrow(ChunkBudgetError);
  });
});

function chain(weights: readonly number[]): ChunkOperation[] {
  return weights.map((weightBytes, i) => ({
    reads: i > 0 ? [`value${i - 1}`] : [],
    writes: [`value${i}`],
    weightBytes,
  }));
}

function valuesOf(count: number): Map<string, CrossingValue> {
  return new Map(Array.from({ length: count }, (_, i) => [`value${i}`, { byteLength: 1 }]));
}

function weightOf({ operations }: Network, from: number, to: number): number {
  return operations.slice(from, to).reduce((sum, { weightBytes }) => sum + weightBytes, 0);
}

/** How many chunks the operations from here on need, each taking as many as fit. */
function fewest({ operations, maxBytes }: Network, from: number): number {
  let [chunks, filled] = [from < operations.length ? 1 : 0, 0];
  for (const { weightBytes } of operations.slice(from)) {
    if (filled + weightBytes > maxBytes) [chunks, filled] = [chunks + 1, 0];
    filled += weightBytes;
  }
  return chunks;
}

/** Bytes of all that is written before a position and read at or after it. */
function crossing({ operations, values }: Network, at: number): number {
  const needed = new Set(operations.slice(at).flatMap(({ reads }) => reads));
  const made = operations.slice(0, at).flatMap(({ writes }) => writes);
  return made
    .filter((name) => needed.has(name))
    .reduce((sum, name) => sum + (values.get(name)?.byteLength ?? 0), 0);
}

test('where memory is limited, weights, the largest work and what enters a chunk stay under the budget together', () => {
  fc.assert(
    fc.property(networks, fc.array(fc.integer({ min: 0, max: 500 })), ({ operations, values }, work) => {
      const costed = operations.map((operation, at) => ({ ...operation, workBytes: work[at] ?? 0 }));
      const maxBytes = 4000;
      const chunks = orUndefined(() => planChunks(costed, values, maxBytes));
      for (const { from, to, weightBytes } of chunks ?? []) {
        const most = Math.max(...costed.slice(from, to).map(({ workBytes }) => workBytes));
        const readFromHere = new Set(operations.slice(from).flatMap(({ reads }) => reads));
        const entering = operations
          .slice(0, from)
          .flatMap(({ writes }) => writes)
          .filter((name) => readFromHere.has(name))
          .reduce((sum, name) => sum + (values.get(name)?.byteLength ?? 0), 0);
        expect(weightBytes + most + entering).toBeLessThanOrEqual(maxBytes);
      }
    }),
  );
});

function orUndefined<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof ChunkBudgetError) return undefined;
    throw error;
  }
}

test('values whose sizes no number holds do not cross', () => {
  const operations = ['a', 'b', 'c', 'd'].map((name, at, all) => ({
    reads: all.slice(Math.max(0, at - 1), at),
    writes: [name],
    weightBytes: 10,
  }));
  const values = new Map(['a', 'b', 'c'].map((name) => [name, { byteLength: name === 'b' ? 1e300 : 1 }]));
  expect(planChunks(operations, values, 30).map(({ to }) => to)).not.toContain(2);
});
