import { expect, test } from 'vitest';
import { describeVerdicts } from '../../cli/commands/validate.ts';
import type { TensorMap } from '../../src/formats/runner.ts';
import { inBrief, judge, type Verdict } from '../../src/validate/verdict.ts';

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

test('in brief, an output that is not finite is told, and reads as near to nothing', () => {
  const brief = (reference: TensorMap, found: TensorMap): string => {
    const outputs = judge(reference, found, { inputs: 'recorded', minPsnr: 35 });
    // as: the brief says nothing of the rest.
    return inBrief([{ outputs } as unknown as Verdict], 35);
  };
  expect(brief(output(1, 2, Number.NaN), output(1, 2, 3))).toBe(
    '1 model, lowest PSNR not a number (floor 35); 1 output with numbers that are not finite',
  );
  expect(brief(output(1, 2, Number.NaN), output(1, 3, 3))).toBe(
    '1 model, lowest PSNR 9.0 dB (floor 35); 1 output with numbers that are not finite',
  );
  expect(brief(output(1, 2), output(1, 3))).toBe('1 model, lowest PSNR 9.0 dB (floor 35)');
  expect(brief(output(1, 2), output(1, 2))).toBe('1 model, lowest PSNR identical (floor 35)');
});

test('the table of validate says where numbers are not finite', () => {
  const outputs = judge(output(1, 2, Number.NaN), output(1, 2, 3), { inputs: 'recorded', minPsnr: 35 });
  // as: the table shows nothing of the rest.
  const verdict = { format: 'onnx', paths: ['unet'], floor: 35, outputs, pass: false } as unknown as Verdict;
  const [, row = ''] = describeVerdicts([verdict]).split('\n');
  expect(row).toMatch(/ y +recorded +NaN +35 +NaN +.* 0, and 1 of the reference +FAIL$/);
});
