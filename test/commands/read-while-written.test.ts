import { copyFileSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import { compilePackage } from '../../src/commands/compile.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { generate } from '../../src/commands/generate.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { report } from '../../src/commands/report.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { validate } from '../../src/commands/validate.ts';
import { verify } from '../../src/commands/verify.ts';
import { web } from '../../src/commands/web.ts';
import type { Context } from '../../src/context.ts';
import { OutputBusyError } from '../../src/errors.ts';
import type { TensorMap } from '../../src/formats/runner.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { openReference } from '../../src/validate/reference.ts';
import { golden, sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();
let out: string;
let unet: string;
let encoder: string;
let unetPackage: string;
const reference = golden('unet.t981');
let inputs: TensorMap;

beforeAll(async () => {
  out = at('out');
  unet = join(out, 'onnx', 'unet');
  encoder = join(out, 'onnx', 'text_encoder');
  unetPackage = join(out, 'Stable_Diffusion_version_sd-shapes_unet.mlpackage');
  await convertCheckpoint({ modelVersion: sdShapes, output: out, targets: ['onnx', 'coreml'] });
  const recorded = await openReference(reference);
  if (recorded.kind !== 'recorded') throw new Error('it is not a recording');
  inputs = recorded.tensors;
});

/** Commands that read a conversion, with their result, if they write any, at a path elsewhere. */
const readers: readonly [string, (to: string, context: Context) => Promise<unknown>][] = [
  ['verify', (_, context) => verify({ path: out }, context)],
  ['verify for a client', (_, context) => verify({ path: out, clients: ['optimum'] }, context)],
  ['inspect', (_, context) => inspect({ path: unet }, context)],
  ['validate', (_, context) => validate({ artifact: unet, reference }, context)],
  ['run', (to, context) => runArtifacts({ artifacts: [unet], inputs, record: to }, context)],
  ['report', (to, context) => report({ folder: out, output: to }, context)],
  ['web', (to, context) => web({ folder: out, output: to, steps: 0 }, context)],
  ['bundle', (to, context) => bundlePackages({ folder: out, output: to, clients: ['openvino'] }, context)],
  ['compile', (to, context) => compilePackage({ package: unetPackage, output: `${to}.mlmodelc` }, context)],
  ['chunk', (to, context) => chunkArtifact({ artifact: unet, output: to, maxChunkBytes: 8e6 }, context)],
  [
    'quantize',
    (to, context) =>
      quantizeArtifact({ artifact: encoder, output: to, plan: planQuantization({ bits: 8 }) }, context),
  ],
  ['generate', (to, context) => generate({ input: out, output: to, prompt: 'a', steps: 1 }, context)],
];

test.each(readers)('%s says who writes into the conversion that it would read', async (name, read) => {
  const lock = join(out, '.sdc-lock');
  writeFileSync(lock, '{"owner":"zzzzzz1","host":"far","pid":7}');
  const to = at(`while written, ${name}`, 'result');
  const error = await rejectionOf(read(to, {})).finally(() => rmSync(lock));
  expect(error).toBeInstanceOf(OutputBusyError);
  expect(error.problem).toBe(`another run is writing into ${out}: process 7 on far.`);
  expect([to, `${to}.mlmodelc`].filter(existsSync)).toEqual([]);
});

const telling = ['verify', 'validate', 'run', 'report', 'web', 'chunk', 'quantize'];

test.each(readers.filter(([name]) => telling.includes(name)))(
  '%s gives no result where another run has written into the conversion meanwhile',
  async (name, read) => {
    /** A record is always a new file. */
    const onProgress = (): void => {
      copyFileSync(join(out, 'sdconvert.json'), join(out, 'copy'));
      renameSync(join(out, 'copy'), join(out, 'sdconvert.json'));
    };
    const to = at(`written meanwhile, ${name}`, 'result');
    const error = await rejectionOf(read(to, { onProgress }));
    expect(error).toBeInstanceOf(OutputBusyError);
    expect(error.problem).toBe(`another run has written into ${out} while it was read.`);
    expect(existsSync(to)).toBe(false);
  },
);
