import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { inspect } from '../../src/commands/inspect.ts';
import type { CheckpointInspection } from '../../src/inspect/inspection.ts';
import { byteSize } from '../../src/weights/dtype.ts';
import { fullSizeCheckpoint } from '../support/full-size.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const fixture = fileURLToPath(new URL('../fixtures/sd21', import.meta.url));

async function inspectCheckpoint(path: string): Promise<CheckpointInspection> {
  const inspection = await inspect({ path });
  if (inspection.kind !== 'checkpoint') throw new Error(`it was taken for ${inspection.kind}`);
  return inspection;
}

/** A copy of the fixture that may be changed. */
function copy(name: string): string {
  cpSync(fixture, at(name), { recursive: true });
  return at(name);
}

function write(path: string, content: object): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(content));
}

function change(path: string, keys: object): void {
  write(path, { ...JSON.parse(readFileSync(path, 'utf8')), ...keys });
}

test('a checkpoint is described: family, prediction, sizes, components, what is missing', async () => {
  const found = await inspectCheckpoint(fixture);
  expect(found).toMatchObject({
    pipeline: 'StableDiffusionPipeline',
    family: 'Stable Diffusion 2.x',
    task: 'text to image',
    predictionType: 'v_prediction',
    scheduler: 'DDIMScheduler',
    latentSize: [16, 16],
    pictureSize: [128, 128],
    missing: ['feature_extractor', 'tokenizer'],
    problems: [],
    next: { command: `sdconvert convert --model-version ${fixture}` },
  });
  expect(found.networks).toEqual(
    ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'].map((name) => ({ name, problem: null })),
  );
  const unet = found.components.find(({ name }) => name === 'unet');
  expect(unet).toMatchObject({ className: 'UNet2DConditionModel', tensors: 686, parameters: 5_523_876 });
  expect(unet?.weights).toMatchObject([{ stored: 'float16', bits: 16, byteLength: 2 * 5_523_876 }]);
});

test('a scheduler that does not say what is predicted means epsilon, as in diffusers', async () => {
  const path = copy('epsilon');
  change(join(path, 'scheduler/scheduler_config.json'), { prediction_type: undefined });
  expect((await inspectCheckpoint(path)).predictionType).toBe('epsilon');
});

test('a network that cannot be built is named with the reason, and the others are converted', async () => {
  const path = copy('one bad');
  change(join(path, 'unet/config.json'), { act_fn: 'mish' });
  const { networks, next } = await inspectCheckpoint(path);
  const [problem] = networks.flatMap((network) => (network.name === 'unet' ? network.problem : []));
  expect(problem).toContain('act_fn');
  expect(networks.filter((network) => network.problem)).toHaveLength(1);
  expect(next).toEqual({
    command: `sdconvert convert --model-version '${path}' --convert-text-encoder --convert-vae-decoder --convert-vae-encoder`,
  });
});

test('a component whose weights are damaged or absent does not keep the others from being described', async () => {
  const path = copy('damaged');
  truncateSync(join(path, 'unet/diffusion_pytorch_model.safetensors'), 5_000_000);
  rmSync(join(path, 'vae/diffusion_pytorch_model.safetensors'));
  writeFileSync(join(path, 'scheduler/scheduler_config.json'), 'not JSON');
  const { components, networks, problems, next } = await inspectCheckpoint(path);
  expect(components.map(({ name }) => name)).toEqual(['text_encoder']);
  expect(networks.map(({ name }) => name)).toEqual(['text_encoder']);
  expect(problems).toEqual(
    ['cut short', 'has no weight file', 'not valid JSON'].map((problem) => expect.stringContaining(problem)),
  );
  expect(next).toEqual({ advice: expect.stringContaining('again') });
});

test('a pipeline that is not supported is described all the same, with advice in the place of a command', async () => {
  const path = copy('xl');
  change(join(path, 'model_index.json'), { _class_name: 'StableDiffusionUpscalePipeline' });
  const found = await inspectCheckpoint(path);
  expect(found.components).toHaveLength(3);
  expect(found.problems).toEqual([expect.stringContaining('an upscaling model, which is not supported')]);
  expect(found.next).toEqual({
    advice: expect.stringContaining('Use a checkpoint of Stable Diffusion'),
  });
});

test('float16 weights beside the plain ones are named as a variant', async () => {
  const path = copy('variants');
  const file = join(path, 'vae/diffusion_pytorch_model');
  cpSync(`${file}.safetensors`, `${file}.fp16.safetensors`);
  expect((await inspectCheckpoint(path)).variants).toEqual(['fp16']);
});

test('a full-size checkpoint is counted from its headers alone', async () => {
  for (const [name, { config, weights }] of fullSizeCheckpoint('sd15').components) {
    const folder = at('full', name);
    write(join(folder, 'config.json'), config);
    let end = 0;
    const entries = [...weights].map(([tensor, { shape }]) => {
      const begin = end;
      end += byteSize(shape, 'f16');
      return [tensor, { dtype: 'F16', shape, data_offsets: [begin, end] }] as const;
    });
    const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
    const length = new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer);
    const file = join(folder, 'diffusion_pytorch_model.safetensors');
    writeFileSync(file, Buffer.concat([length, header]));
    truncateSync(file, 8 + header.length + end); // a hole of 1.7 GB that takes no room
  }
  write(at('full/model_index.json'), {
    _class_name: 'StableDiffusionPipeline',
    text_encoder: ['transformers', 'CLIPTextModel'],
    unet: ['diffusers', 'UNet2DConditionModel'],
    vae: ['diffusers', 'AutoencoderKL'],
  });
  const { components, family, pictureSize, networks } = await inspectCheckpoint(at('full'));
  // As published: https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5
  expect(components.map(({ name, parameters }) => [name, parameters])).toEqual([
    ['text_encoder', 123_060_480],
    ['unet', 859_520_964],
    ['vae', 83_653_863],
  ]);
  expect(family).toBe('Stable Diffusion 1.x');
  expect(pictureSize).toEqual([512, 512]);
  expect(networks.every(({ problem }) => problem === null)).toBe(true);
});

test('without a UNet, which says the size of the latents, the next command gives one', async () => {
  const { next } = await inspectCheckpoint('test/fixtures/tiny-autoencoder');
  const source = '--model-version test/fixtures/tiny-autoencoder';
  expect(next).toEqual({ command: `sdconvert convert ${source} --latent-h 64 --latent-w 64` });
});
