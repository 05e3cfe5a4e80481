import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Allocation,
  allocations,
  bestWithin,
  notThatSmall,
  smallestWithin,
  type WeightChoices,
} from '../../src/mixed-bits/choose-bits.ts';

/** Two weights: the first is sensitive, the second hardly. */
const weights: WeightChoices[] = [
  {
    name: 'sensitive',
    choices: [
      { bits: 16, bytes: 160, error: 0 },
      { bits: 8, bytes: 80, error: 8 },
      { bits: 4, bytes: 40, error: 100 },
    ],
  },
  {
    name: 'robust',
    choices: [
      { bits: 16, bytes: 160, error: 0 },
      { bits: 8, bytes: 80, error: 1 },
      { bits: 4, bytes: 40, error: 2 },
    ],
  },
];

test('bits are taken first where they are missed least', () => {
  const order = [...allocations(weights)].map(({ bits, bytes, error }) => [...bits.values(), bytes, error]);
  expect(order).toEqual([
    [16, 16, 320, 0],
    [16, 8, 240, 1],
    [16, 4, 200, 2],
    [8, 4, 120, 10],
    [4, 4, 80, 102],
  ]);
});

test('the smallest allocation within an error, the most exact one within a size', () => {
  expect(smallestWithin(weights, 9.9).bytes).toBe(200);
  expect(smallestWithin(weights, 10).bytes).toBe(120);
  expect(bestWithin(weights, 200)?.error).toBe(2);
  expect(bestWithin(weights, 199)?.error).toBe(10);
});

test('a size that nothing reaches has no allocation; an error that nothing reaches has the most exact one', () => {
  expect(bestWithin(weights, 79)).toBeUndefined();
  expect(smallestWithin([{ name: 'w', choices: [{ bits: 4, bytes: 4, error: 5 }] }], 1).error).toBe(5);
});

test('the error for a size that nothing reaches says one that is reached, to the byte', () => {
  const error = notThatSmall(2_800_000, 2_845_123);
  expect(error.details).toEqual({ 'smallest that it can be': '2,845,123 bytes' });
  expect(error.advice).toContain('2845123');
});

test('a choice that is larger and no better than another is never taken', () => {
  const [first] = allocations([
    {
      name: 'w',
      choices: [
        { bits: 8, bytes: 80, error: 1 },
        { bits: 4, bytes: 40, error: 1 },
        { bits: 2, bytes: 20, error: 3 },
      ],
    },
  ]);
  expect(first?.bits.get('w')).toBe(4);
});

test('no mixture of the same size or smaller has less error than one that is given', () => {
  const choice = fc.record({ bits: fc.nat(16), bytes: fc.integer({ min: 1, max: 50 }), error: fc.nat(50) });
  const manyWeights = fc.array(fc.array(choice, { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(manyWeights, (lists) => {
      const all = lists.map((choices, index) => ({ name: `w${index}`, choices }));
      const given = [...allocations(all)];
      const every = mixtures(all);
      for (const { bytes, error } of given) {
        for (const other of every)
          if (other.bytes <= bytes) expect(other.error).toBeGreaterThanOrEqual(error - 1e-9);
      }
    }),
  );
});

/** Every way to choose, by plain enumeration. */
function mixtures([first, ...others]: readonly WeightChoices[]): Pick<Allocation, 'bytes' | 'error'>[] {
  if (!first) return [{ bytes: 0, error: 0 }];
  const rest = mixtures(others);
  return first.choices.flatMap(({ bytes, error }) =>
    rest.map((other) => ({ bytes: other.bytes + bytes, error: other.error + error })),
  );
}

test('the ways to store thousands of weights take little memory together', () => {
  const choices = [16, 8, 6, 4, 3, 2].map((bits) => ({ bits, bytes: bits * 100, error: 1 / bits - 1 / 16 }));
  const many = Array.from({ length: 1500 }, (_, at) => ({ name: `w${at}`, choices }));
  const before = process.memoryUsage().heapUsed;
  const all = [...allocations(many)];
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100e6);
  expect([...(all.at(-1)?.bits.values() ?? [])]).toEqual(many.map(() => 2));
});
