import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ConvertOptions } from '../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import type { Verdict } from '../../src/validate/verdict.ts';
import { sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const fixtures = join(import.meta.dirname, '../fixtures');

/** Converts, small, and compares with the float32 reference. */
async function verdictsOf(name: string, options: ConvertOptions): Promise<readonly Verdict[]> {
  const small = { latentHeight: 8, latentWidth: 8 };
  const request = { output: at(name), bundle: false, minPsnr: 50, sizes: small, ...options };
  return (await convertCheckpoint(request)).verdicts;
}

function lowest(verdicts: readonly Verdict[]): number {
  return Math.min(...verdicts.flatMap(({ outputs }) => outputs.map(({ psnr }) => psnr)));
}

test('SDXL’s second text encoder and its UNet are run as they are used', async () => {
  const models = ['text_encoder_2', 'unet'] as const;
  const verdicts = await verdictsOf('sdxl', {
    modelVersion: join(fixtures, 'sdxl'),
    models,
    targets: ['onnx'],
  });
  expect(verdicts.map(({ model }) => model)).toEqual(models);
  expect(lowest(verdicts)).toBeGreaterThan(57); // measured in float16: 60.6 dB
});

test('a text encoder of 2.x for Core AI, which fills prompts up itself, is compared on prompts as it was trained with', async () => {
  const verdicts = await verdictsOf('sd21', {
    modelVersion: join(fixtures, 'sd21'),
    models: ['text_encoder'],
    targets: ['coreai'],
    sizes: {},
  });
  expect(verdicts.map(({ model }) => model)).toEqual(['text_encoder']);
  expect(lowest(verdicts)).toBeGreaterThan(60);
});

// Their computation in float32 shows that the inputs go where they belong: in Core ML's names and layouts here, in
// optimum's in the reference.
test('a UNet that takes residuals is fed some', async () => {
  const options = { modelVersion: sdShapes, models: ['control-unet'], targets: ['coreml'] } as const;
  const verdicts = await verdictsOf('controlled', options);
  expect(verdicts.map(({ model }) => model)).toEqual(['control-unet']);
  expect(lowest(verdicts)).toBeGreaterThan(130); // measured: 147.9 dB
});

test('a ControlNet’s residuals are compared one by one', async () => {
  const checkpoint = at('controlnet-checkpoint');
  mkdirSync(checkpoint);
  cpSync(join(fixtures, 'controlnet-sd15'), join(checkpoint, 'controlnet'), { recursive: true });
  writeFileSync(
    join(checkpoint, 'model_index.json'),
    '{"_class_name":"StableDiffusionControlNetPipeline","controlnet":["diffusers","ControlNetModel"]}',
  );
  const options = { modelVersion: checkpoint, models: ['controlnet'], targets: ['coreml'] } as const;
  const [verdict, ...others] = await verdictsOf('controlnet', options);
  expect(verdict?.outputs).toHaveLength(39); // 13 at 3 timesteps
  expect(others).toEqual([]);
  expect(lowest(verdict ? [verdict] : [])).toBeGreaterThan(72); // measured with weights rounded to float16: 77.8 dB
});

test('a safety checker’s pictures and verdict are compared, whatever their shape', async () => {
  const modelVersion = join(fixtures, 'safety-checker');
  const verdicts = await verdictsOf('checker', { modelVersion, models: ['safety_checker'], sizes: {} });
  expect(verdicts.map(({ outputs }) => outputs.map(({ name }) => name))).toEqual([
    ['out_images', 'has_nsfw_concepts'],
    ['filtered_images', 'has_nsfw_concepts'],
  ]);
});
