import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findDrawingFolder } from '../../src/generate/drawing-folder.ts';
import { readSettings } from '../../src/generate/drawing-settings.ts';
import { writeModels } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const temporary = temporaryFolder();
const scheduler = { _class_name: 'DDIMScheduler', prediction_type: 'v_prediction' };

test.each(['comfyui', 'Resources', '.'])(
  'models in %s of a conversion are drawn with the settings on its record',
  async (name) => {
    const output = temporary(`of ${name}`);
    const input = join(output, name);
    mkdirSync(output);
    writeRecord(output, scheduler);
    await writeModels(input, { models: ['unet'] });
    expect((await settingsOf(input)).scheduler).toEqual(scheduler);
  },
);

test('a conversion within the folder of another one keeps its own record', async () => {
  const outer = temporary('outer');
  const inner = join(outer, 'inner');
  await writeModels(inner, { models: ['unet'] });
  writeRecord(outer, { _class_name: 'PNDMScheduler' });
  writeRecord(inner, scheduler);
  expect((await settingsOf(inner)).scheduler).toEqual(scheduler);
});

test('a file that is no model is refused, whatever lies beside it', async () => {
  const output = temporary('beside');
  await writeModels(output, { models: ['unet'] });
  writeFileSync(join(output, 'note.txt'), '');
  await expect(findDrawingFolder(join(output, 'note.txt'), ['unet'])).rejects.toThrow(
    'note.txt is no model.',
  );
});

test('Core AI assets are drawn with only where there are no other models', async () => {
  const output = temporary('assets');
  mkdirSync(join(output, 'CoreAI/Unet.aimodel'), { recursive: true });
  expect((await findDrawingFolder(output, ['unet'])).path).toBe(join(output, 'CoreAI'));
  mkdirSync(join(output, 'onnx-openvino/unet'), { recursive: true });
  writeFileSync(join(output, 'onnx-openvino/unet/model.onnx'), '');
  expect((await findDrawingFolder(output, ['unet'])).path).toBe(join(output, 'onnx-openvino'));
});

test.each([
  [0, 512],
  [8, 512],
  [100, 512],
  [-64, 512],
  [96, 96],
])('a VAE whose config has a sample_size of %d has tiles of %d pixels', async (sample_size, pixels) => {
  const output = temporary(`tiles ${sample_size}`);
  mkdirSync(join(output, 'vae_decoder'), { recursive: true });
  writeFileSync(join(output, 'vae_decoder/config.json'), JSON.stringify({ sample_size }));
  const folder = { path: output, output, models: new Map() };
  expect((await readSettings(folder, 'sd1', {})).vaePixels).toBe(pixels);
});

test('statistics of latents that no UNet draws are told before anything is drawn', async () => {
  const output = temporary('other channels');
  mkdirSync(join(output, 'vae_decoder'), { recursive: true });
  const config = { latents_mean: [0, 0], latents_std: [1, 1] };
  writeFileSync(join(output, 'vae_decoder/config.json'), JSON.stringify(config));
  const folder = { path: output, output, models: new Map() };
  await expect(readSettings(folder, 'sd1', {})).rejects.toThrow('of another number of channels');
});

async function settingsOf(input: string) {
  return readSettings(await findDrawingFolder(input, ['unet']), 'sd1', {});
}

function writeRecord(folder: string, scheduler: object): void {
  const record = { sdconvert: '0.1.0', pipeline: { scheduler }, artifacts: {} };
  writeFileSync(join(folder, 'sdconvert.json'), JSON.stringify(record));
}
