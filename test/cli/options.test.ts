import { expect, test } from 'vitest';
import { parseBytes, wholeNumber } from '../../cli/options.ts';
import { thrownBy } from '../support/thrown-by.ts';

test.each([
  ['1GB', 1e9],
  [' 1.5 gb ', 1.5e9],
  ['1.5e9', 1.5e9],
  ['800MB', 8e8],
  ['.5MB', 5e5],
  ['2G', 2e9],
  ['10kB', 1e4],
  ['2GiB', 2 ** 31],
  ['1Ti', 2 ** 40],
  ['1000', 1000],
])('%j is %d bytes', (text, bytes) => {
  expect(parseBytes(text, '--max-memory')).toBe(bytes);
});

test.each(['0', '0.5', '2', '999', '0.5kB', '1B'])('%j is no size that is meant', (text) => {
  const { problem, advice } = thrownBy(() => parseBytes(text, '--max-memory'));
  expect(problem).toBe(`--max-memory ${text} is less than 1 kB.`);
  expect(advice).toContain('800MB, 1.5GB or 2GiB');
});

test.each(['', '-1', 'GB', '1,5GB', '1.2.3GB', '1e400', '9999999999999GB', 'NaN', 'i', '1iB', '1 G B'])(
  '%j is no size',
  (text) => {
    expect(thrownBy(() => parseBytes(text, '--max-memory')).problem).toBe(
      `--max-memory ${text} is not a size.`,
    );
  },
);

test('a number of things is whole, and no larger than can be counted', () => {
  const refusal = (value: number) => thrownBy(() => wholeNumber(value, '--steps', 1)).problem;
  for (const value of [0, -1, 0.5, 1.5])
    expect(refusal(value)).toBe(`--steps ${value} is not a whole number of at least 1.`);
  for (const value of [1e20, 1e300])
    expect(refusal(value)).toMatch(/is not a whole number from 1 to 9007199254740991\.$/);
});
