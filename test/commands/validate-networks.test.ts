import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ConvertOptions } from '../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { validate } from '../../src/commands/validate.ts';
import type { Verdict } from '../../src/validate/verdict.ts';
import { sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const fixtures = join(import.meta.dirname, '../fixtures');

const small = { latentHeight: 8, latentWidth: 8 };

/** Converts, small, and compares with the float32 reference. */
async function verdictsOf(name: string, options: ConvertOptions): Promise<readonly Verdict[]> {
  const request = { output: at(name), bundle: false, minPsnr: 50, sizes: small, ...options };
  return (await convertCheckpoint(request)).verdicts;
}

/** A checkpoint of a ControlNet and nothing else. */
function checkpointOf(controlnet: string): string {
  const checkpoint = at('controlnet-checkpoint');
  cpSync(controlnet, join(checkpoint, 'controlnet'), { recursive: true });
  writeFileSync(
    join(checkpoint, 'model_index.json'),
    '{"_class_name":"StableDiffusionControlNetPipeline","controlnet":["diffusers","ControlNetModel"]}',
  );
  return checkpoint;
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
  const modelVersion = checkpointOf(join(fixtures, 'controlnet-sd15'));
  const options = { modelVersion, models: ['controlnet'], targets: ['coreml'] } as const;
  const [verdict, ...others] = await verdictsOf('residuals', options);
  expect(verdict?.outputs).toHaveLength(39); // 13 at 3 timesteps
  expect(others).toEqual([]);
  expect(lowest(verdict ? [verdict] : [])).toBeGreaterThan(72); // measured with weights rounded to float16: 77.8 dB
});

describe('one network alone is a reference', () => {
  const controlnet = join(fixtures, 'controlnet-sd15');
  const made = (name: string) => at(name, 'onnx', name);

  beforeAll(async () => {
    for (const name of ['controlnet', 'vae_decoder', 'unet'] as const) {
      const modelVersion = name === 'controlnet' ? checkpointOf(controlnet) : sdShapes;
      const options = { targets: ['onnx'], precision: 'float32', bundle: false, sizes: small } as const;
      await convertCheckpoint({ modelVersion, models: [name], output: at(name), ...options });
    }
  });

  test.each([
    ['the folder of a ControlNet', 'controlnet', controlnet],
    ['its file', 'controlnet', join(controlnet, 'diffusion_pytorch_model.safetensors')],
    ['the folder of a VAE', 'vae_decoder', join(sdShapes, 'vae')],
    ['the folder of a UNet', 'unet', join(sdShapes, 'unet')],
  ])('%s, of %s', async (_, name, reference) => {
    const [verdict, ...others] = await validate({ artifact: made(name), reference });
    expect(others).toEqual([]);
    expect(lowest(verdict ? [verdict] : [])).toBeGreaterThan(120); // both in float32
  });

  test('what it is not is named', async () => {
    await expect(validate({ artifact: made('controlnet'), reference: sdShapes })).rejects.toThrow(
      /sd-shapes has no controlnet\.\n.*\nName the ControlNet’s own folder/,
    );
    await expect(validate({ artifact: made('unet'), reference: controlnet })).rejects.toThrow(
      /controlnet-sd15 has no unet\.\n {2}it has {2}controlnet\n/,
    );
  });
});

test('a safety checker’s pictures and verdict are compared, whatever their shape', async () => {
  const modelVersion = join(fixtures, 'safety-checker');
  const verdicts = await verdictsOf('checker', { modelVersion, models: ['safety_checker'], sizes: {} });
  expect(verdicts.map(({ outputs }) => outputs.map(({ name }) => name))).toEqual([
    ['out_images', 'has_nsfw_concepts'],
    ['filtered_images', 'has_nsfw_concepts'],
  ]);
});
