import { expect, test } from 'vitest';
import { type MeasuredVerdicts, parityOf } from '../../src/report/facts/compare.ts';
import { judgeCard } from '../../src/report/facts/judge-card.ts';
import type { Verdict } from '../../src/validate/verdict.ts';

/** Verdicts at a floor, as `validate` gives them, for outputs of these PSNRs. */
function measured(floor: number, ...psnrs: readonly number[]): MeasuredVerdicts[] {
  const outputs = psnrs.map((psnr, index) => ({
    name: `output ${index}`,
    inputs: 'recorded',
    psnr,
    applePsnr: psnr,
    maxAbsError: 0,
    nonFinite: { reference: 0, candidate: 0, added: 0 },
    pass: psnr >= floor,
  }));
  const verdict: Verdict = {
    model: 'unet',
    paths: ['out/onnx/unet'],
    format: 'onnx',
    floor,
    reference: '/home/somebody/sd15',
    outputs,
    notCompared: [],
    pass: outputs.every(({ pass }) => pass),
  };
  return [{ arithmetic: 'exact', verdicts: [verdict] }];
}

function verdictAt(floor: number, ...psnrs: readonly number[]) {
  const parity = parityOf('out', measured(floor, ...psnrs), [], null);
  return judgeCard({ folder: 'out', reference: 'sd15', floor, parity, lint: [] });
}

test.each([[47.9213], [48], [35.004], [90.999_999]])(
  'the floor that a verdict names is the least hundredth at which it fails: %d dB',
  (lowest) => {
    const { result, failsAt } = verdictAt(35, lowest, 99);
    expect(result).toBe('pass');
    const floor = failsAt?.floor ?? Number.NaN;
    expect(verdictAt(floor, lowest, 99).result).toBe('fail');
    expect(verdictAt(Number((floor - 0.01).toFixed(2)), lowest, 99).result).toBe('pass');
    expect(failsAt?.command).toBe(`sdconvert report out --reference sd15 --min-psnr ${floor.toFixed(2)}`);
  },
);

test('identical outputs fail at no floor, and NaN passes none', () => {
  expect(verdictAt(35, Number.POSITIVE_INFINITY)).toMatchObject({
    result: 'pass',
    lowest: 'Infinity',
    failsAt: null,
  });
  expect(verdictAt(35, 60, Number.NaN)).toMatchObject({ result: 'fail', lowest: 'NaN' });
});

test('what is infinitely far from a reference of zeros is told as that', () => {
  const { sentence } = verdictAt(35, Number.NEGATIVE_INFINITY);
  expect(sentence).toBe('Fail: unet (onnx) is -∞ dB from its reference.');
});

test('numbers that are not finite are what a verdict names, whatever the distance of the others', () => {
  const [one] = measured(35, 60, Number.NaN);
  const [verdict] = one?.verdicts ?? [];
  if (!verdict) throw new Error('there is a verdict');
  const outputs = verdict.outputs.map((output) => ({
    ...output,
    nonFinite: { reference: 1, candidate: 0, added: 0 },
    pass: false,
  }));
  const parity = parityOf(
    'out',
    [{ arithmetic: 'exact', verdicts: [{ ...verdict, outputs, pass: false }] }],
    [],
    null,
  );
  expect(parity?.models[0]).toMatchObject({ lowest: 'NaN', median: 'NaN' });
  expect(judgeCard({ folder: 'out', reference: 'sd15', floor: 35, parity, lint: [] }).sentence).toBe(
    'Fail: unet (onnx) or its reference has outputs that are not finite.',
  );
});

test('a model of which an output is no number is not identical in the middle either', () => {
  const parity = parityOf(
    'out',
    measured(35, Number.POSITIVE_INFINITY, Number.NaN, Number.POSITIVE_INFINITY, Number.NaN, Number.NaN),
    [],
    null,
  );
  expect(parity?.models[0]).toMatchObject({ lowest: 'NaN', median: 'NaN' });
});

test('a fault fails a verdict whatever the numbers, a warning does not', () => {
  const parity = parityOf('out', measured(35, 60), [], null);
  const lint = (severity: 'fault' | 'warning') => [
    { rule: 'x', severity, problem: 'is broken.', where: 'unet', since: null, source: '', mend: null },
  ];
  const common = { folder: 'out', reference: 'sd15', floor: 35, parity };
  expect(judgeCard({ ...common, lint: lint('fault') })).toMatchObject({
    result: 'fail',
    sentence: 'Fail: unet: is broken.',
  });
  expect(judgeCard({ ...common, lint: lint('warning') }).result).toBe('pass');
});

test('without a comparison nothing is judged, and no path of the machine is told', () => {
  const judged = judgeCard({ folder: 'out', reference: 'CHECKPOINT', floor: 35, parity: null, lint: [] });
  expect(judged).toMatchObject({ result: 'not judged', lowest: null, failsAt: null });
  expect(parityOf('out', measured(35, 60), [], null)).toMatchObject({ reference: 'sd15' });
});

test('lowest and median are over all outputs and cases', () => {
  const parity = parityOf('out', measured(35, 50, 40, 70, 60), [], null);
  expect(parity?.models[0]).toMatchObject({ lowest: 40, median: 55, paths: ['onnx/unet'] });
});
