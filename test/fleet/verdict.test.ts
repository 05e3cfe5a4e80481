import { expect, test } from 'vitest';
import { lowest, verdictAt } from '../../src/fleet/verdict.ts';

test('the lowest PSNR is found among as many as a record can hold', () => {
  const psnr = Object.fromEntries(Array.from({ length: 130_000 }, (_, at) => [`m${at}`, 50 + (at % 7)]));
  expect(lowest({ reference: 'float32', psnr: { ...psnr, worst: 31.5 } })).toBe(31.5);
  expect(lowest({ reference: 'float32', psnr: { same: 'Infinity' } })).toBe('Infinity');
  expect(lowest(undefined)).toBeUndefined();
});

test('what was not measured reaches no floor', () => {
  expect(verdictAt(undefined, 10)).toBe('not checked');
  expect(verdictAt(35, undefined)).toBe('below the floor');
  expect(verdictAt(35, 'Infinity')).toBe('pass');
});
