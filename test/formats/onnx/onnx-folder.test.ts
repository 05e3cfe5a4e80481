import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.ts';
import { bundleOnnxFolder, onnxFolderFiles } from '../../../src/formats/onnx/onnx-folder.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const at = temporaryFolder();

function write(path: string, text = '{}'): string {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), text);
  return at(path);
}

/** SDXL with everything that an index names. */
function checkpoint(): Checkpoint {
  const folders = {
    scheduler: ['scheduler_config.json'],
    tokenizer: ['vocab.json', 'merges.txt'],
    tokenizer_2: ['vocab.json', 'merges.txt'],
    feature_extractor: ['preprocessor_config.json'],
  };
  return {
    name: 'xl',
    path: at('xl'),
    modelIndex: {
      _class_name: 'StableDiffusionXLPipeline',
      requires_safety_checker: true,
      ...Object.fromEntries(Object.keys(folders).map((name) => [name, ['transformers', 'Some']])),
      image_encoder: [null, null],
      safety_checker: ['stable_diffusion', 'StableDiffusionSafetyChecker'],
      text_encoder: ['transformers', 'CLIPTextModel'],
      text_encoder_2: ['transformers', 'CLIPTextModelWithProjection'],
      unet: ['diffusers', 'UNet2DConditionModel'],
      vae: ['diffusers', 'AutoencoderKL'],
    },
    components: new Map(),
    folders: new Map(
      Object.entries(folders).map(([folder, names]) => [
        folder,
        names.map((name) => write(`xl/${folder}/${name}`)),
      ]),
    ),
    missing: [],
    family: 'sdxl',
    kind: undefined,
    notes: [],
    close: async () => {},
  };
}

function index(folder: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(folder, 'model_index.json'), 'utf8'));
}

test('everything that optimum looks for is there, each in its folder, and nothing is named that is not', async () => {
  const models = ['text_encoder_2', 'unet_chunk1', 'unet_chunk2', 'vae_decoder', 'refiner'].map((folder) => ({
    folder,
    configFile: write('xl/config.json', `{"a":1}`),
  }));
  const folder = at('onnx');
  for (const model of models) write(`onnx/${model.folder}/model.onnx`, '');
  const written = await bundleOnnxFolder(checkpoint(), models, folder);
  expect(written.map(({ name }) => name)).toEqual(
    onnxFolderFiles(checkpoint(), models).map(({ name }) => name),
  );
  for (const { name, byteLength } of written)
    expect(statSync(join(folder, name)).size, name).toBe(byteLength);
  expect(readdirSync(join(folder, 'refiner'))).toEqual(['config.json', 'model.onnx']);
  expect(readdirSync(join(folder, 'feature_extractor'))).toEqual(['preprocessor_config.json']);
  expect(index(folder)).toEqual({
    ...checkpoint().modelIndex,
    requires_safety_checker: false,
    safety_checker: [null, null],
    text_encoder: [null, null],
  });
});

test('a safety checker that was converted stays named', async () => {
  write('checked/safety_checker/model.onnx', '');
  await bundleOnnxFolder(checkpoint(), [], at('checked'));
  expect(index(at('checked'))).toMatchObject({
    requires_safety_checker: true,
    safety_checker: ['stable_diffusion', 'StableDiffusionSafetyChecker'],
  });
});

test('a config that was fitted to a single file’s weights is written as fitted', async () => {
  const model = {
    folder: 'unet',
    configFile: write('standard.json', '{"sample_size":64}'),
    config: { sample_size: 96 },
  };
  await bundleOnnxFolder(checkpoint(), [model], at('fitted'));
  expect(JSON.parse(readFileSync(at('fitted/unet/config.json'), 'utf8'))).toEqual({ sample_size: 96 });
});
