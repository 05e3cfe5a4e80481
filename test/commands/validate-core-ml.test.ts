import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { validate } from '../../src/commands/validate.ts';
import type { Verdict } from '../../src/validate/verdict.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const reference = join(root, 'models/sd-shapes');
const recorded = join(root, 'test/goldens/sd-shapes');
const temporary = temporaryFolder();

beforeAll(async () => {
  await convertCheckpoint({
    modelVersion: reference,
    output: temporary('out'),
    targets: ['coreml'],
    maxChunkBytes: 7e6,
  });
});

test('packages, run from their bytes, give what diffusers recorded', async () => {
  for (const [model, golden, floor] of [
    // Measured: 111, 141, 133, 140 dB.
    ['text_encoder', 'text_encoder', 105],
    ['unet_chunk1', 'unet.t501', 130],
    ['vae_decoder', 'vae_decoder', 120],
    ['vae_encoder', 'vae_encoder', 125],
  ] as const) {
    const artifact = temporary(`out/Stable_Diffusion_version_sd-shapes_${model}.mlpackage`);
    const isText = model === 'text_encoder'; // five prompts were recorded, the package takes one
    const against = isText ? reference : join(recorded, `${golden}.safetensors`);
    const verdicts = await validate({ artifact, reference: against, minPsnr: floor });
    expect({ model, lowest: lowest(verdicts), pass: verdicts.every(({ pass }) => pass) }).toMatchObject({
      pass: true,
    });
  }
});

test('compiled bundles compute what their packages compute, in chunks too', async () => {
  const packages = await validate({ artifact: temporary('out'), reference, minPsnr: 100 });
  const compiled = await validate({ artifact: temporary('out/Resources'), reference, minPsnr: 100 });
  const numbers = (verdicts: readonly Verdict[]) =>
    Object.fromEntries(verdicts.map(({ model, outputs }) => [model, outputs.map(({ psnr }) => psnr)]));
  expect(numbers(compiled)).toEqual(numbers(packages));
  expect(Object.keys(numbers(compiled)).sort()).toEqual([
    'text_encoder',
    'unet',
    'vae_decoder',
    'vae_encoder',
  ]);
  expect(compiled.every(({ pass }) => pass)).toBe(true);
});

test('rounding to float16 after every operation costs what float16 costs', async () => {
  const artifact = temporary('out/Stable_Diffusion_version_sd-shapes_unet_chunk1.mlpackage');
  const exact = lowest(await validate({ artifact, reference, minPsnr: 55 }));
  const rounded = lowest(await validate({ artifact, reference, minPsnr: 55, roundToFloat16: true }));
  // Measured: 146 and 77 dB.
  expect(exact).toBeGreaterThan(130);
  expect(rounded).toBeGreaterThan(65);
  expect(rounded).toBeLessThan(90);
});

function lowest(verdicts: readonly Verdict[]): number {
  return Math.min(...verdicts.flatMap(({ outputs }) => outputs.map(({ psnr }) => psnr)));
}
