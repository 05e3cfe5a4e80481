import { expect, test } from 'vitest';
import { buildStage } from '../../../src/commands/conversion/build.ts';
import { bundleStage } from '../../../src/commands/conversion/bundle.ts';
import { dryRunStage } from '../../../src/commands/conversion/dry-run.ts';
import { openStage } from '../../../src/commands/conversion/open.ts';
import { planStage } from '../../../src/commands/conversion/plan.ts';
import { precisionStage } from '../../../src/commands/conversion/precision.ts';
import { convertDefaults } from '../../../src/commands/conversion/request.ts';
import { validateStage } from '../../../src/commands/conversion/validate.ts';
import { writeStage } from '../../../src/commands/conversion/write.ts';
import { conversionStages } from '../../../src/commands/convert.ts';
import { Pipeline } from '../../../src/pipeline.ts';

const request = { ...convertDefaults, modelVersion: 'models/sd-shapes' };
const open = openStage(request);
const build = buildStage(request);
const precision = precisionStage(request);
const plan = planStage(request);
const write = writeStage(request);
const validate = validateStage({ minPsnr: 35 });
const bundle = bundleStage(request);

test('stages run in the order that their names tell', async () => {
  expect(await conversionStages({ ...request, minPsnr: 35 })).toEqual([
    'open',
    'build',
    'precision',
    'plan',
    'write',
    'validate',
    'bundle',
  ]);
  expect(await conversionStages({ ...request, bundle: false })).toEqual([
    'open',
    'build',
    'precision',
    'plan',
    'write',
  ]);
  expect((await conversionStages({ ...request, minPsnr: 35, dryRun: true })).slice(3)).toEqual([
    'plan',
    'dry-run',
  ]);
});

test('the compiler refuses every other order', () => {
  const built = Pipeline.from(open).to(build);
  const planned = built.to(precision).to(plan);
  const written = planned.to(write);
  expect(written.to(validate).to(bundle).stages).toHaveLength(7);
  const refused = [
    // @ts-expect-error: a checkpoint has no graphs to be made precise.
    Pipeline.from(open).to(precision),
    // @ts-expect-error: what has no precision has no bytes to plan.
    built.to(plan),
    // @ts-expect-error: what is not planned is not written.
    built.to(precision).to(write),
    // @ts-expect-error: what is not written cannot be run.
    planned.to(validate),
    // @ts-expect-error: what is not written cannot be bundled.
    planned.to(bundle),
    // @ts-expect-error: a bundle is the end.
    written.to(bundle).to(validate),
    // @ts-expect-error: nothing follows a dry run.
    planned.to(dryRunStage(request)).to(write),
  ];
  expect(refused.map(({ stages }) => stages.slice(-2).join(' → '))).toEqual([
    'open → precision',
    'build → plan',
    'precision → write',
    'plan → validate',
    'plan → bundle',
    'bundle → validate',
    'dry-run → write',
  ]);
});
