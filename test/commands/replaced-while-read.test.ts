import { cpSync, existsSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { validate } from '../../src/commands/validate.ts';
import type { Context } from '../../src/context.ts';
import { FileFormatError } from '../../src/errors.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { openReference } from '../../src/validate/reference.ts';
import { golden, sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();
const reference = golden('unet.t981');
const UNET = 'Stable_Diffusion_version_sd-shapes_unet.mlpackage';

beforeAll(async () => {
  await convertCheckpoint({ modelVersion: sdShapes, output: at('out'), targets: ['onnx', 'coreml'] });
});

/** Commands that read a model which is part of no conversion, with their result at a path elsewhere. */
const readers: readonly [
  string,
  from: string,
  (model: string, to: string, context: Context) => Promise<unknown>,
][] = [
  [
    'quantize',
    'onnx/unet',
    (artifact, output, context) =>
      quantizeArtifact({ artifact, output, plan: planQuantization({ bits: 8 }) }, context),
  ],
  [
    'quantize --in-place',
    UNET,
    (artifact, _, context) =>
      quantizeArtifact({ artifact, inPlace: true, plan: planQuantization({ bits: 8 }) }, context),
  ],
  [
    'chunk',
    UNET,
    (artifact, output, context) => chunkArtifact({ artifact, output, maxChunkBytes: 8e6 }, context),
  ],
  ['validate', UNET, (artifact, _, context) => validate({ artifact, reference }, context)],
  [
    'run',
    'onnx/unet',
    async (model, record, context) => {
      const recorded = await openReference(reference);
      if (recorded.kind !== 'recorded') throw new Error('it is not a recording');
      return runArtifacts({ artifacts: [model], inputs: recorded.tensors, record }, context);
    },
  ],
  [
    'bundle',
    'onnx',
    (folder, output, context) => bundlePackages({ folder, output, clients: ['openvino'] }, context),
  ],
];

test.each(readers)(
  '%s gives no result of a model on its own that was replaced meanwhile',
  async (name, from, read) => {
    const model = at(name, 'model', from.endsWith('.mlpackage') ? 'unet.mlpackage' : 'unet');
    const other = at(name, 'other');
    cpSync(at('out', from), model, { recursive: true });
    let turns = 0;
    const onProgress = (): void => {
      if (turns++ > 3) return; // by then all has begun
      cpSync(at('out', from), other, { recursive: true });
      for (const file of weightsIn(other)) renameSync(join(other, file), join(model, file));
    };
    const to = at(name, 'result');
    const error = await rejectionOf(read(model, to, { onProgress }));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toMatch(/was replaced or changed while it was read\.$/);
    // What a bundle is made of appears one after another.
    if (name !== 'bundle') expect(existsSync(to)).toBe(false);
  },
);

/** The files of a folder that hold weights. */
function weightsIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /\.(onnx|onnx_data|bin)$/.test(name));
}
