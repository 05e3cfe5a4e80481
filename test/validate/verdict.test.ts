import { expect, test } from 'vitest';
import type { TensorMap } from '../../src/formats/runner.ts';
import { judge } from '../../src/validate/verdict.ts';

const output = (...data: number[]): TensorMap =>
  new Map([['y', { dtype: 'f32', shape: [data.length], data: Float32Array.from(data) }]]);

function passes(reference: TensorMap, found: TensorMap): boolean | undefined {
  return judge(reference, found, { inputs: 'recorded', minPsnr: 35 })[0]?.pass;
}

test('an output that is not finite fails, even where the reference is not finite either', () => {
  expect(passes(output(1, 2, 3), output(1, 2, 3))).toBe(true);
  expect(passes(output(1, 2, 3), output(1, 2, Number.NaN))).toBe(false);
  expect(passes(output(1, 2, Number.NaN), output(1, 2, Number.NaN))).toBe(false);
  expect(passes(output(1, 2, Number.POSITIVE_INFINITY), output(1, 2, 3))).toBe(false);
});
