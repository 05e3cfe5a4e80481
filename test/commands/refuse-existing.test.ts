import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { compilePackage } from '../../src/commands/compile.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { refuseOtherFile } from '../../src/commands/refuse-existing.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { OutputExistsError } from '../../src/errors.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { readTensors } from '../../src/weights/read-tensors.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { golden, sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();
const packaged = () => at('out/Stable_Diffusion_version_sd-shapes_vae_encoder.mlpackage');

beforeAll(async () => {
  await convertCheckpoint({
    modelVersion: sdShapes,
    models: ['vae_encoder'],
    output: at('out'),
    bundle: false,
  });
  mkdirSync(at('thesis/chapters'), { recursive: true });
  writeFileSync(at('thesis/chapters/1.txt'), 'years of work');
});

test('--force replaces a model, never a folder of something else', async () => {
  const plan = planQuantization({ bits: 8 });
  const artifact = at('out/onnx/vae_encoder');
  const refused = await rejectionOf(quantizeArtifact({ artifact, plan, output: at('thesis'), force: true }));
  expect(refused).toBeInstanceOf(OutputExistsError);
  expect(refused.problem).toContain('thesis is a folder of something else than a model');
  const compiling = compilePackage({ package: packaged(), output: at('thesis'), force: true });
  expect((await rejectionOf(compiling)).problem).toContain('thesis is not the name of a compiled model');
  expect(existsSync(at('thesis/chapters/1.txt'))).toBe(true);
  mkdirSync(at('empty'));
  await quantizeArtifact({ artifact, plan, output: at('empty'), force: true });
  await quantizeArtifact({ artifact, plan, output: at('empty'), force: true });
  await compilePackage({ package: packaged(), output: at('E.mlmodelc') });
  await compilePackage({ package: packaged(), output: at('E.mlmodelc'), force: true });
});

test('run writes its tensors over those of an earlier run, not over other files', async () => {
  const inputs = await readTensors(golden('vae_encoder'));
  const artifacts = [at('out/onnx/vae_encoder')];
  for (let run = 0; run < 2; run++) await runArtifacts({ artifacts, inputs, record: at('r.safetensors') });
  await expect(refuseOtherFile(at('r.safetensors'))).resolves.toBeUndefined();
  writeFileSync(at('made-by-mktemp'), '');
  await expect(refuseOtherFile(at('made-by-mktemp'))).resolves.toBeUndefined();
  const record = at('thesis/chapters/1.txt');
  await expect(runArtifacts({ artifacts, inputs, record })).rejects.toThrow(OutputExistsError);
  const weights = Array.from({ length: 65 }, (_, i) => {
    return { name: `w${i}`, dtype: 'f32', shape: [1], data: new Float32Array(1) } as const;
  });
  const rounding = runArtifacts({ artifacts, inputs, roundToFloat16: true });
  await expect(rounding).rejects.toThrow('--round-to-float16 changes nothing');
  await writeSafetensors(at('lora.safetensors'), weights);
  await expect(refuseOtherFile(at('lora.safetensors'))).rejects.toThrow(OutputExistsError);
});
