import { expect, test } from 'vitest';
import { LARGEST_INPUT } from '../../hunt/mutate-bytes.ts';
import { mutateJson } from '../../hunt/mutate-json.ts';
import { Random } from '../../hunt/random.ts';

/** The longest time that any of 200 changes took, in milliseconds. */
function slowest(value: unknown): number {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return Math.max(
    ...Array.from({ length: 200 }, (_, input) => {
      const start = performance.now();
      expect(mutateJson(bytes, new Random(`a ${input}`)).length).toBeLessThanOrEqual(LARGEST_INPUT);
      return performance.now() - start;
    }),
  );
}

// 15, 4 and 2 s where texts were followed from each of their quotes, and copies were written that no input holds.
test.each([
  ['a text full of quotes', { a: '"'.repeat(LARGEST_INPUT / 4) }],
  ['many values', { a: Array.from({ length: LARGEST_INPUT / 16 }, (_, index) => ({ a: index })) }],
  ['one long text in a list', [['x'.repeat(LARGEST_INPUT / 2)]]],
])('an input is changed in less time than it may take to read: %s', (_, value) => {
  expect(slowest(value)).toBeLessThan(1000);
});
