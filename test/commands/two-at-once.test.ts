import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import { compilePackage } from '../../src/commands/compile.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { report } from '../../src/commands/report.ts';
import { web } from '../../src/commands/web.ts';
import { OutputBusyError } from '../../src/errors.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const shapes = join(import.meta.dirname, '../../models/sd-shapes');
const at = temporaryFolder();
let out: string;
let encoder: string;

beforeAll(async () => {
  out = at('out');
  encoder = join(out, 'onnx', 'text_encoder');
  await convertCheckpoint({ modelVersion: shapes, output: out, targets: ['onnx', 'coreml'] });
});

// Where a record is, its folder is locked: these write where none is.
test.each<[string, (output: string, run: number) => Promise<unknown>]>([
  [
    'quantize',
    (output, run) =>
      quantizeArtifact({
        artifact: encoder,
        output: join(output, 'encoder'),
        plan: planQuantization({ bits: run === 0 ? 8 : 4 }),
      }),
  ],
  [
    'chunk',
    (output, run) =>
      chunkArtifact({ artifact: join(out, 'onnx', 'unet'), output, maxChunkBytes: (run + 1) * 3e6 }),
  ],
  [
    'compile',
    (output) =>
      compilePackage({
        package: join(out, 'Stable_Diffusion_version_sd-shapes_text_encoder.mlpackage'),
        output: join(output, 'Encoder.mlmodelc'),
      }),
  ],
  ['bundle', (output) => bundlePackages({ folder: out, output, clients: ['openvino'] })],
  ['report', (output) => report({ folder: out, output })],
  ['web', (output) => web({ folder: out, output: join(output, 'page'), steps: 0 })],
])('of two runs of %s into one place, one writes and the other says who does', async (name, run) => {
  const ends = await Promise.allSettled([0, 1].map((each) => run(at(name), each)));
  const refused = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
  expect(refused).toEqual([expect.any(OutputBusyError)]);
  expect(refused[0]?.problem).toContain(`process ${process.pid} on `);
  expect(readdirSync(at(name)).filter((each) => each.startsWith('.'))).toEqual([]);
});

test('runs into places beside each other do not keep each other waiting', async () => {
  const plan = planQuantization({ bits: 8 });
  const outputs = ['a', 'b'].map((name) => at('beside', name));
  await Promise.all(outputs.map((output) => quantizeArtifact({ artifact: encoder, output, plan })));
  expect(readdirSync(dirname(outputs[0] ?? ''))).toEqual(['a', 'b']);
});
