import { expect, test } from 'vitest';
import { Mt19937 } from '../../src/random/mt19937.ts';

// The C++ standard ([rand.predef]) fixes the 10,000th number of a generator that is seeded with 5489.
test('the 10,000th number is the one the C++ standard demands', () => {
  const bits = new Mt19937(5489);
  for (let i = 1; i < 10000; i++) bits.uint32();
  expect(bits.uint32()).toBe(4123659995);
});
