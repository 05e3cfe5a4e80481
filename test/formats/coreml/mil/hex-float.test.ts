import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatHexFloat, parseFloatText } from '../../../../src/formats/coreml/mil/hex-float.ts';

// As C's printf prints them with %a.
const spellings: readonly (readonly [number, string])[] = [
  [0, '0x0p+0'],
  [-0, '-0x0p+0'],
  [1, '0x1p+0'],
  [-1, '-0x1p+0'],
  [0.5, '0x1p-1'],
  [3, '0x1.8p+1'],
  [0.1, '0x1.999999999999ap-4'],
  [65504, '0x1.ffcp+15'],
  [2 ** -24, '0x1p-24'],
  [Math.fround(1e-5), '0x1.4f8b58p-17'],
  [5e-324, '0x0.0000000000001p-1022'],
  [Number.POSITIVE_INFINITY, 'inf'],
  [Number.NEGATIVE_INFINITY, '-inf'],
];

test.each(spellings)('%d is spelled %s, as in C', (value, text) => {
  expect(formatHexFloat(value)).toBe(text);
});

test('a float is spelled so that it is read back bit by bit', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(parseFloatText(formatHexFloat(value))).toBe(value);
    }),
  );
});

test('decimal numbers are read too, and nothing else is', () => {
  expect(['1', '-2.5', '1e-3', '+4.', '0X1P1'].map(parseFloatText)).toEqual([1, -2.5, 1e-3, 4, 2]);
  expect(['', 'x', '0x', '1.2.3', '0xg', '0x1p', 'inf'].map(parseFloatText)).toEqual(
    Array(7).fill(undefined),
  );
});
