import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import type { GenerateOptions } from '../../src/commands/drawing/request.ts';
import { generate } from '../../src/commands/generate.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { decodePng } from '../../src/generate/png.ts';
import { psnr } from '../../src/validate/psnr.ts';
import { sdShapes, writeModels } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const temporary = temporaryFolder();
const variants = join(import.meta.dirname, '../fixtures/variants');
let pictures = 0;

/** Float32 arithmetic in another order, then 8 bits: one step off in all values would be 48 dB. */
const SAME_PICTURE = 40;

describe('a checkpoint draws the same picture in every form', () => {
  let [onnx, packages, chunks] = ['', '', ''];
  let expected: Float32Array;

  beforeAll(async () => {
    [onnx, packages, chunks] = [temporary('onnx'), temporary('packages'), temporary('chunks')];
    const all = { modelVersion: sdShapes, precision: 'float32' } as const;
    await convertCheckpoint({ ...all, output: onnx, targets: ['onnx'] });
    await convertCheckpoint({ ...all, output: packages, targets: ['coreml'] });
    await convertCheckpoint({
      ...all,
      output: chunks,
      targets: ['coreml'],
      sizes: { unetBatch: 1 },
      maxChunkBytes: 8e6,
      attention: 'ORIGINAL',
    });
    expected = (await draw({ input: onnx })).data;
  });

  test('packages as Apple names them', async () => {
    const { data, notes } = await draw({ input: packages });
    expect(psnr(expected, data)).toBeGreaterThan(SAME_PICTURE);
    expect(notes).toEqual([]);
  });

  test('compiled models of Resources', async () => {
    const { data } = await draw({ input: join(packages, 'Resources') });
    expect(psnr(expected, data)).toBeGreaterThan(SAME_PICTURE);
  });

  test('chunks of a UNet that takes one row', async () => {
    expect(readdirSync(chunks).filter((name) => name.includes('chunk')).length).toBeGreaterThan(1);
    const { data } = await draw({ input: chunks });
    expect(psnr(expected, data)).toBeGreaterThan(SAME_PICTURE);
  });

  test('a ready-made repository, whose scheduler and scale are the family’s, which is told once', async () => {
    const repository = temporary('repository');
    const folder = join(repository, 'original', 'packages');
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(packages))
      if (name.endsWith('.mlpackage')) cpSync(join(packages, name), join(folder, name), { recursive: true });
    const { data, notes } = await draw({ input: repository });
    expect(notes).toEqual([
      `assuming PNDM as the scheduler and 0.18215 as the VAE's scaling factor, as usual for Stable Diffusion 1.x: ${folder} does not say.`,
    ]);
    expect(data).toHaveLength(expected.length);
  });

  test('a client’s UNet for whole timesteps, with a scheduler that has others: they are rounded, which is told', async () => {
    const input = temporary('openvino');
    await convertCheckpoint({
      modelVersion: sdShapes,
      output: input,
      precision: 'float32',
      clients: ['openvino'],
    });
    const kdpm2 = { scheduler: 'KDPM2DiscreteScheduler', steps: 6 } as const;
    const exact = await draw({ input: onnx, ...kdpm2 });
    const rounded = await draw({ input, ...kdpm2 });
    expect(exact.notes).toEqual([]);
    expect(rounded.notes).toEqual([
      expect.stringContaining('takes whole timesteps: those of dpm2 are rounded'),
    ]);
    // Half a timestep of 1000 moves a picture a little, and another one is below 20 dB.
    expect(psnr(exact.data, rounded.data)).toBeGreaterThan(30);
  });

  test('without guidance a UNet for two rows draws what one for one row draws', async () => {
    const [two, one] = [
      await draw({ input: packages, guidanceScale: 1 }),
      await draw({ input: chunks, guidanceScale: 1 }),
    ];
    expect(psnr(one.data, two.data)).toBeGreaterThan(SAME_PICTURE);
    expect(psnr(expected, two.data)).toBeLessThan(SAME_PICTURE);
  });
});

describe('what cannot be drawn with is refused by name before anything is loaded', () => {
  test.each([
    ['inpainting', 'the UNet is for inpainting: it needs a picture and a mask.'],
    ['pix2pix', 'the UNet is for image editing (pix2pix): it needs a picture to edit.'],
  ])('%s', async (name, sentence) => {
    const input = await writeModels(temporary(name), { from: join(variants, name), models: ['unet'] });
    await expect(draw({ input })).rejects.toThrow(sentence);
  });

  test('a UNet that takes residuals', async () => {
    const input = await writeModels(temporary('controlled'), { models: ['control-unet'] });
    await expect(draw({ input })).rejects.toThrow('has only a UNet that takes the residuals of a ControlNet');
  });

  test('a folder that lacks a network, or has none', async () => {
    const input = await writeModels(temporary('alone'), { models: ['unet'] });
    await expect(draw({ input })).rejects.toThrow(`${input} has no text_encoder.`);
    const model = join(input, 'unet');
    await expect(draw({ input: model })).rejects.toThrow(`${model} has no text_encoder.`);
    const empty = temporary('empty');
    mkdirSync(empty);
    await expect(draw({ input: empty })).rejects.toThrow(`${empty} has no unet.`);
  });

  test('an output that is a file', async () => {
    const input = await writeModels(temporary('all'));
    const output = join(input, 'unet', 'config.json');
    await expect(draw({ input, output })).rejects.toThrow(`${output} is a file`);
  });
});

/** Draws a picture, and gives its bytes as numbers and what was noted. */
async function draw(options: Omit<GenerateOptions, 'prompt'>) {
  const notes: string[] = [];
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'note') notes.push(event.message);
  };
  const [image] = await generate(
    {
      prompt: 'a red circle',
      seed: 7,
      steps: 4,
      guidanceScale: 3,
      output: temporary(`pictures${pictures++}`),
      ...options,
    },
    { onProgress },
  );
  const path = image?.path ?? '';
  return { data: Float32Array.from(decodePng(readFileSync(path), path).data), notes };
}
