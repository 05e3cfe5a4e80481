import { expect, test } from 'vitest';
import { progressText } from '../../cli/progress-text.ts';

const step = {
  type: 'progress',
  stage: 'denoise',
  what: 'step 3 of 20',
  done: 2,
  total: 20,
  unit: 'steps',
} as const;

test('drawing tells steps, their rate, the time left and the memory', () => {
  expect(progressText(step, { rate: 2.34, left: 7.6 }, 140)).toMatch(
    /^step 3 of 20 {2}2 of 20 {2}2\.3 it\/s {2}8 s left {2}\d+(\.\d+)? [MG]B in memory$/,
  );
  expect(progressText(step, { rate: 0.25, left: 72 }, 140)).toContain('2 of 20  4.0 s/it  1 min 12 s left');
});

test('a narrow terminal loses the memory first, then the rate', () => {
  expect(progressText(step, { rate: 2.34, left: 8 }, 58)).toBe('step 3 of 20  2 of 20  2.3 it/s  8 s left');
  expect(progressText(step, { rate: 2.34, left: 8 }, 44)).toBe('step 3 of 20  2 of 20  8 s left');
});
