import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import { compilePackage } from '../../src/commands/compile.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { validate } from '../../src/commands/validate.ts';
import type { Context } from '../../src/context.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const packagePath = () => at('out/Stable_Diffusion_version_sd-shapes_text_encoder.mlpackage');
const onnx = () => at('out/onnx/text_encoder');

beforeAll(async () => {
  const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
  await convertCheckpoint({ modelVersion, output: at('out'), models: ['text_encoder'] });
});

/** Each command, and what its stage is to have done. */
const commands: Readonly<Record<string, readonly [(context: Context) => Promise<unknown>, RegExp]>> = {
  quantize: [
    (context) =>
      quantizeArtifact({ artifact: onnx(), output: at('q'), plan: planQuantization({ bits: 4 }) }, context),
    /\/q, [\d.]+ MB → [\d.]+ MB$/,
  ],
  chunk: [
    (context) => chunkArtifact({ artifact: onnx(), output: at('cut'), maxChunkBytes: 6.5e6 }, context),
    /^\d+ chunks, [\d.]+ MB$/,
  ],
  compile: [
    (context) => compilePackage({ package: packagePath(), output: at('X.mlmodelc') }, context),
    /X\.mlmodelc$/,
  ],
  bundle: [(context) => bundlePackages({ folder: at('out'), output: at('b') }, context), /Resources$/],
  run: [
    (context) => {
      const ids = { dtype: 'i64', shape: [1, 77], data: new BigInt64Array(77).fill(7n) } as const;
      return runArtifacts({ artifacts: [onnx()], inputs: new Map([['input_ids', ids]]) }, context);
    },
    /text_encoder.*: \d outputs$/,
  ],
  validate: [
    (context) => validate({ artifact: packagePath(), reference: onnx(), minPsnr: 35 }, context),
    /^1 model, lowest PSNR [\d.]+ dB \(floor 35\)$/,
  ],
};

test.each(Object.keys(commands))('%s tells at its end what it did, and in how many seconds', async (name) => {
  const [run, detail] = commands[name] ?? [];
  const ended: unknown[] = [];
  await run?.({
    onProgress: (event) => event.type === 'stage' && event.state === 'finished' && ended.push(event),
  });
  expect(ended).toEqual([
    expect.objectContaining({ stage: name, detail: expect.stringMatching(detail ?? /^$/) }),
  ]);
});
