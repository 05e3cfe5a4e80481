import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { describeVerdicts } from '../../cli/commands/validate.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { validate } from '../../src/commands/validate.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { ValidationError } from '../../src/errors.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const fixtures = join(import.meta.dirname, '../fixtures');
const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
const at = temporaryFolder();

test('every artifact of an output is validated, each against the reference’s in its own format', async () => {
  await convertCheckpoint({
    modelVersion,
    models: ['vae_encoder'],
    targets: ['onnx', 'coreml', 'coreai'],
    output: at('out'),
  });
  const verdicts = await validate({ artifact: at('out'), reference: at('out') });
  expect(verdicts.map(({ format, floor }) => [format, floor])).toEqual([
    ['onnx', 35],
    ['mlpackage', 35],
    ['aimodel', 35],
    ['mlmodelc', 35],
  ]);
  for (const { format, outputs } of verdicts)
    for (const { psnr } of outputs)
      expect({ format, psnr }).toEqual({ format, psnr: Number.POSITIVE_INFINITY });
  expect(describeVerdicts(verdicts)).toMatch(/mlmodelc +\S+VAEEncoder\.mlmodelc +latent/);
});

describe('Stable Diffusion XL, of which Core AI has the text in one tensor', () => {
  const sdxl = join(fixtures, 'sdxl');

  beforeAll(async () => {
    await convertCheckpoint({
      modelVersion: sdxl,
      models: ['text_encoder', 'unet'],
      targets: ['onnx', 'coreai'],
      // Neither batch nor size is the checkpoint's own.
      sizes: { latentHeight: 8, latentWidth: 16 },
      precision: 'float32',
      output: at('xl'),
    });
  });

  test('every model is compared with the checkpoint, arranged likewise', async () => {
    const verdicts = await validate({ artifact: at('xl'), reference: sdxl, minPsnr: 100 });
    expect(verdicts.map(({ format, model, pass }) => [format, model, pass])).toEqual([
      ['onnx', 'text_encoder', true],
      ['onnx', 'text_encoder_2', true],
      ['onnx', 'unet', true],
      ['aimodel', 'text_encoder', true],
      ['aimodel', 'unet', true],
    ]);
  });

  test('what a reference has otherwise is named, and the others are judged', async () => {
    const notes: string[] = [];
    const onProgress = (event: ProgressEvent) => event.type === 'note' && notes.push(event.message);
    const verdicts = await validate({ artifact: at('xl'), reference: at('xl/onnx') }, { onProgress });
    expect(verdicts.map(({ format }) => format)).toEqual(['onnx', 'onnx', 'onnx']);
    expect(notes.map((note) => /Not compared: \S+\/(\w+\.aimodel) /.exec(note)?.[1])).toEqual([
      'TextEncoder.aimodel',
      'Unet.aimodel',
    ]);
    const alone = validate({ artifact: at('xl/CoreAI/Unet.aimodel'), reference: at('xl/onnx') });
    await expect(alone).rejects.toThrow(/as Core AI has it[\s\S]*Compare it with the checkpoint/);
  });
});

test('a refiner’s one text encoder is compared by what it is, whatever it is called', async () => {
  const modelVersion = at('refiner-checkpoint');
  cpSync(join(fixtures, 'sdxl/text_encoder_2'), join(modelVersion, 'text_encoder_2'), { recursive: true });
  cpSync(join(fixtures, 'drawing/xl-refiner'), join(modelVersion, 'unet'), { recursive: true });
  const index = {
    _class_name: 'StableDiffusionXLImg2ImgPipeline',
    text_encoder_2: ['transformers', 'CLIPTextModelWithProjection'],
    unet: ['diffusers', 'UNet2DConditionModel'],
  };
  writeFileSync(join(modelVersion, 'model_index.json'), JSON.stringify(index));
  const request = { modelVersion, targets: ['coreai'], output: at('refiner'), minPsnr: 60 } as const;
  const { verdicts } = await convertCheckpoint(request);
  expect(verdicts.map(({ model, pass }) => [model, pass])).toEqual([
    ['text_encoder', true],
    ['unet', true],
  ]);
});

test('a check that fails lists every artifact with its floor', async () => {
  const request = { modelVersion, models: ['vae_encoder'], output: at('far'), minPsnr: 300 } as const;
  const error = await rejectionOf(convertCheckpoint({ ...request, targets: ['onnx', 'coreml'] }));
  expect(error).toBeInstanceOf(ValidationError);
  expect(Object.keys(error.details)).toEqual([
    join('onnx', 'vae_encoder'),
    'Stable_Diffusion_version_sd-shapes_vae_encoder.mlpackage',
  ]);
  expect(Object.values(error.details)[1]).toMatch(/^mlpackage, .* \d+\.\d dB, floor 300: too far$/);
  expect(error.advice).toContain('--precision');
});
