import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FileFormatError } from '../../src/errors.ts';
import { openAnalysis } from '../../src/mixed-bits/analysis.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

const measured = { model: {}, inputs: ['a'], bits: [4, 8], peak: 3.5 };
const weight = { elements: 100, bytes: 200, errors: { 4: 0.5 } };

function write(value: object): string {
  writeFileSync(at('analysis.json'), JSON.stringify(value));
  return at('analysis.json');
}

test('an analysis is read with its errors by bits', async () => {
  const { weights } = await openAnalysis(write({ measured, weights: { a: weight } }));
  expect([...(weights.get('a')?.errors ?? [])]).toEqual([[4, 0.5]]);
});

test.each([
  ['bits of 1e308', { measured: { ...measured, bits: [1e308] }, weights: {} }],
  ['bits without end', { measured: { ...measured, bits: Array(100_000).fill(4) }, weights: {} }],
  ['errors of 99 bits', { measured, weights: { a: { ...weight, errors: { 99: 1 } } } }],
  ['a negative size', { measured, weights: { a: { ...weight, bytes: -1 } } }],
  [
    'points without end',
    { measured, weights: {}, points: Array(2_000).fill({ bits: 4, bytes: 1, psnr: 1 }) },
  ],
])('one with %s is refused', async (_, value) => {
  const error = await rejectionOf(openAnalysis(write(value)));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toContain('is not an analysis as sdconvert writes it');
});

test('what is wrong in one says what is expected there', async () => {
  const odd = { measured, weights: { a: { ...weight, errors: { 17: 1 } } } };
  expect((await rejectionOf(openAnalysis(write(odd)))).details).toEqual({
    'weights.a.errors.17': 'expected bits from 1 to 16, found "17"',
  });
  const points = { measured, weights: {}, points: [{ bits: 'some', bytes: 1, psnr: 1 }] };
  expect((await rejectionOf(openAnalysis(write(points)))).details).toEqual({
    'points.0.bits': 'expected bits from 1 to 16, or mixed, found "some"',
  });
});
