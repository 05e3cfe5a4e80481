import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { removeWritten } from '../../src/bundle/remove-written.ts';
import { updateProvenance } from '../../src/formats/provenance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const output = () => at('out');
const sha256 = createHash('sha256').update('x').digest('hex');

beforeEach(() => {
  rmSync(output(), { recursive: true, force: true });
  mkdirSync(output(), { recursive: true });
});

function touch(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(at('out', path)), { recursive: true });
    writeFileSync(at('out', path), 'x');
  }
}

/** Records files of an entry of the output as they are, and removes what was written of it. */
async function removed(path: string, ...names: string[]): Promise<boolean> {
  touch(...names.map((name) => `${path}/${name}`));
  return forgotten(path, ...names);
}

async function forgotten(path: string, ...names: string[]): Promise<boolean> {
  const files = names.map((name) => ({ name, byteLength: 1, sha256 }));
  await updateProvenance(output(), { written: { [path]: { source: {}, options: {}, files } } });
  await removeWritten(output(), [path]);
  return !existsSync(at('out', path));
}

test.each([
  'Stable_Diffusion_version_org_thesis_unet_chunk1.mlpackage',
  'ControlNet_lllyasviel_sd-controlnet-canny.mlpackage',
  'CoreAI/VAEDecoder.aimodel',
  'CoreAI/ControlNet_canny.aimodel',
  'comfyui/thesis_2x512x512_cn_se2_q6.mlpackage',
  'comfyui/thesis_text_encoder_2_1.mlpackage',
  'comfyui/thesis_vae_decoder_1x512x512.mlpackage',
  'onnx/text_encoder_2',
  'onnx-openvino/unet_chunk12',
  'onnx/controlnet_2',
])('%s is a model of ours, which goes with all that is in it', async (path) => {
  touch(`${path}/more`);
  expect(await removed(path, 'model')).toBe(true);
  expect(readdirSync(output())).toEqual(['sdconvert.json']);
});

test.each([
  'thesis.mlpackage',
  'holiday/Stable_Diffusion_version_x_unet.mlpackage',
  'CoreAI/Thesis.aimodel',
  'comfyui/thesis.mlpackage',
  'onnx/holiday',
  'onnx/unet.onnx',
  'onnx-holiday/unet',
  'Resources/Thesis.mlmodelc',
  'Resources/unet.mlmodelc',
  'web',
])('%s is somebody’s own', async (path) => {
  expect(await removed(path, 'model')).toBe(false);
});

test('of a client’s folder the compiled models of ours go whole, others where all of them is as on record', async () => {
  touch('Resources/Unet.mlmodelc/more', 'Resources/controlnet/Mine.mlmodelc/more', 'Resources/mine.txt');
  const [unet, canny, mine] = ['Unet.mlmodelc', 'controlnet/Canny.mlmodelc', 'controlnet/Mine.mlmodelc'];
  const files = [unet, canny, mine].flatMap((model) =>
    ['model.mil', 'weights/weight.bin'].map((name) => `${model}/${name}`),
  );
  expect(await removed('Resources', ...files, 'vocab.json')).toBe(false);
  expect(readdirSync(at('out/Resources'))).toEqual(['controlnet', 'mine.txt']);
  expect(readdirSync(at('out/Resources/controlnet'))).toEqual(['Mine.mlmodelc']);
  expect(readdirSync(at('out/Resources', mine))).toEqual(['model.mil', 'more', 'weights']);
});

test('files beside the models go where their bytes are on record, whatever the dates', async () => {
  touch('onnx/tokenizer/vocab.json', 'onnx/holiday/1.png');
  writeFileSync(at('out/onnx/holiday/1.png'), 'y');
  expect(await forgotten('onnx', 'tokenizer/vocab.json', 'holiday/1.png')).toBe(false);
  expect(readdirSync(at('out/onnx'))).toEqual(['holiday']);
});

test('folders that a run emptied which was killed go, too', async () => {
  mkdirSync(at('out/onnx/tokenizer'), { recursive: true });
  expect(await forgotten('onnx', 'tokenizer/vocab.json', 'scheduler/scheduler_config.json')).toBe(true);
});
