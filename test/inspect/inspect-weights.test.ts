import { cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readSingleFile } from '../../src/checkpoint/single-file/open-single-file.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { describe } from '../../src/inspect/describe.ts';
import { inspectOpened } from '../../src/inspect/inspect-checkpoint.ts';
import type { CheckpointInspection, WeightsInspection } from '../../src/inspect/inspection.ts';
import { type NamedTensor, writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import type { WeightFile } from '../../src/weights/tensors-of-file.ts';
import { plainWeight } from '../../src/weights/weight-groups.ts';
import { headerFile, recordedPlaces, recordedSingleFile } from '../support/single-file.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();
const fixture = fileURLToPath(new URL('../fixtures/sd21', import.meta.url));
const goldens = fileURLToPath(new URL('../goldens/sd21', import.meta.url));

async function inspectWeights(path: string): Promise<WeightsInspection> {
  const inspection = await inspect({ path });
  if (inspection.kind !== 'weights') throw new Error(`it was taken for ${inspection.kind}`);
  return inspection;
}

function zeros(name: string, shape: readonly number[]): NamedTensor {
  return {
    name,
    dtype: 'f32',
    shape,
    data: new Float32Array(shape.reduce((count, size) => count * size, 1)),
  };
}

test('a component, its folder or its file, leads to the checkpoint around it', async () => {
  const folder = await inspectWeights(`${fixture}/unet`);
  expect(folder).toMatchObject({
    what: 'a UNet alone',
    className: 'UNet2DConditionModel',
    family: 'Stable Diffusion 2.x',
    tensors: 686,
    next: { command: `sdconvert inspect ${fixture}` },
  });
  const file = await inspectWeights(`${fixture}/unet/diffusion_pytorch_model.safetensors`);
  expect({ ...file, path: folder.path }).toEqual({ ...folder, metadata: file.metadata });
});

test('a LoRA says for which family it is and that it needs a checkpoint', async () => {
  const name = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k';
  await writeSafetensors(at('lora.safetensors'), [
    zeros(`${name}.lora_down.weight`, [4, 768]),
    zeros(`${name}.lora_up.weight`, [320, 4]),
  ]);
  expect(await inspectWeights(at('lora.safetensors'))).toMatchObject({
    what: expect.stringContaining('a LoRA'),
    family: 'Stable Diffusion 1.x',
    parameters: 4 * 768 + 320 * 4,
    weights: [{ stored: 'float32', tensors: 2, byteLength: 4 * (4 * 768 + 320 * 4) }],
    lora: { format: 'kohya', kinds: ['LoRA'], ranks: [4], networks: { unet: 1 } },
    next: {
      command: `sdconvert convert --model-version CHECKPOINT --lora ${at('lora.safetensors')}:1`,
      where: 'CHECKPOINT is a checkpoint of Stable Diffusion 1.x.',
    },
  });
});

test.for([
  ['unet', 5],
  ['text_encoder', 4],
  ['vae_decoder', 2],
  ['vae_encoder', 2],
] as const)(
  'recorded inputs and outputs of the %s are known, with their shapes',
  async ([network, count]) => {
    const path = `${goldens}/${network}.safetensors`;
    const found = await inspectWeights(path);
    expect(found.what).toBe(`recorded inputs and outputs of the ${network}`);
    expect(found.values).toHaveLength(count);
    expect(found.metadata.source).toContain('diffusers');
    expect(found.next).toEqual({ command: `sdconvert validate MODEL --reference ${path}` });
  },
);

test('tensors of no known kind are listed', async () => {
  await writeSafetensors(at('other.safetensors'), [zeros('sample', [1, 2]), zeros('something', [])]);
  expect(await inspectWeights(at('other.safetensors'))).toMatchObject({
    what: 'tensors of no kind that is known',
    values: [
      { name: 'sample', dtype: 'float32', shape: [1, 2] },
      { name: 'something', dtype: 'float32', shape: [] },
    ],
  });
});

test('a safetensors file is known by its contents, whatever its name', async () => {
  cpSync(`${goldens}/unet.safetensors`, at('download'));
  expect((await inspectWeights(at('download'))).tensors).toBe(5);
});

test('a file that is cut short is described as that', async () => {
  await writeSafetensors(at('whole.safetensors'), [zeros('weight', [1000])]);
  writeFileSync(at('cut.safetensors'), readFileSync(at('whole.safetensors')).subarray(0, -7));
  expect(await inspect({ path: at('cut.safetensors') })).toMatchObject({
    kind: 'other',
    problems: [expect.stringContaining('cut short: 7 bytes are missing')],
    next: { advice: expect.stringContaining('again') },
  });
});

/** Writes the header of a file at its real size, and nothing behind it but a hole. */
async function writeHeader(file: WeightFile, name: string, metadata: Readonly<Record<string, string>> = {}) {
  let end = 0;
  const entries = [...file.weights.values()].map(({ name: tensor, shape }) => {
    const start = end;
    end += 2 * shape.reduce((count, size) => count * size, 1);
    return [tensor, { dtype: 'F16', shape, data_offsets: [start, end] }];
  });
  const text = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(at(name), Buffer.concat([length, header]));
  truncateSync(at(name), 8 + header.length + end);
  return at(name);
}

async function inspectCheckpoint(path: string): Promise<CheckpointInspection> {
  const inspection = await inspect({ path });
  if (inspection.kind !== 'checkpoint') throw new Error(`it was taken for ${inspection.kind}`);
  return inspection;
}

test.for([
  ['sd15', 'Stable Diffusion 1.x', 'epsilon', 512, []],
  ['sd21', 'Stable Diffusion 2.x', 'v_prediction', 768, [expect.stringContaining('have the same shapes')]],
  ['sdxl', 'Stable Diffusion XL', 'epsilon', 1024, []],
] as const)(
  'a single file of %s is described as the checkpoint that it is',
  async ([name, family, predictionType, size, notes]) => {
    const path = await writeHeader(recordedSingleFile(name), `${name}.safetensors`);
    expect(await inspectCheckpoint(path)).toMatchObject({
      format: 'safetensors',
      family,
      task: 'text to image',
      predictionType,
      pictureSize: [size, size],
      missing: [],
      problems: [],
      notes,
      next: { command: `sdconvert convert --model-version ${path}` },
    });
  },
);

test('a refiner leads to the checkpoint that it refines', async () => {
  const path = await writeHeader(recordedSingleFile('sdxl-refiner'), 'refiner.safetensors');
  const inspection = await inspectCheckpoint(path);
  expect(inspection.family).toBe('Stable Diffusion XL refiner');
  expect(inspection.next).toEqual({
    command: `sdconvert convert --model-version CHECKPOINT --refiner-version ${path}`,
    where: 'CHECKPOINT is a checkpoint of Stable Diffusion XL.',
  });
  expect(describe(inspection)).toMatch(/CHECKPOINT is a checkpoint of Stable Diffusion XL\.$/);
});

test('an inpainting model without a VAE says both', async () => {
  const places = Object.entries(recordedPlaces('sd15')).filter(([name]) => !name.startsWith('first_stage'));
  const shapes = places.map(([name, [shape]]) => [
    name,
    name.endsWith('input_blocks.0.0.weight') ? shape.with(1, 9) : shape,
  ]);
  const inspection = await inspectCheckpoint(
    await writeHeader(headerFile(Object.fromEntries(shapes)), 'inpainting.safetensors'),
  );
  expect(inspection).toMatchObject({ task: 'inpainting', missing: ['vae'] });
  expect(inspection.notes).toEqual(['inpainting.safetensors has no vae: the rest is converted.']);
});

test('what a UNet predicts is read from the file', async () => {
  const shapes = Object.entries(recordedPlaces('sdxl')).map(([name, [shape]]) => [name, shape]);
  const file = headerFile({ ...Object.fromEntries(shapes), v_pred: [0], ztsnr: [0] });
  const inspection = await inspectCheckpoint(await writeHeader(file, 'v.safetensors'));
  expect(inspection.predictionType).toBe('v_prediction');
  expect(inspection.notes).toEqual([
    expect.stringContaining('predicts v and that its noise schedule ends at zero'),
  ]);
});

test('a checkpoint of two families is described as a file, with what is wrong', async () => {
  const [one, two] = (['sd15', 'sdxl'] as const).map((name) =>
    Object.fromEntries(Object.entries(recordedPlaces(name)).map(([key, [shape]]) => [key, shape])),
  );
  const vae = Object.entries(one ?? {}).filter(([name]) => name.startsWith('first_stage_model.'));
  const again = vae.map(([name, shape]) => [name.replace('first_stage_model.', 'vae.'), shape]);
  const path = await writeHeader(
    headerFile({ ...two, ...Object.fromEntries([...vae, ...again]) }),
    'two.safetensors',
  );
  expect(await inspectWeights(path)).toMatchObject({
    what: 'a checkpoint in a single file',
    family: 'Stable Diffusion XL',
    problems: [`${path} holds two networks that could be its vae.`],
    next: { advice: expect.stringContaining('as its author published it') },
  });
});

test.for([
  ['a VAE', 'first_stage_model.encoder.conv_in.weight', [128, 3, 3, 3], '--custom-vae-version'],
  ['a ControlNet', 'control_model.input_hint_block.0.weight', [16, 3, 3, 3], '--convert-controlnet'],
] as const)('%s alone leads to the option that takes it', async ([, name, shape, option]) => {
  await writeSafetensors(at('part.safetensors'), [zeros(name, shape)]);
  const { next } = await inspectWeights(at('part.safetensors'));
  expect(next).toEqual({
    command: `sdconvert convert --model-version CHECKPOINT ${option} ${at('part.safetensors')}`,
    where: 'CHECKPOINT is a checkpoint.',
  });
});

test.for(['emb_params', 'clip_g'])('a textual inversion, by %s, leads to drawing with it', async (name) => {
  await writeSafetensors(at('part.safetensors'), [zeros(name, [4, 4])]);
  const { what, next } = await inspectWeights(at('part.safetensors'));
  expect(what).toContain('a textual inversion');
  expect(next).toEqual({
    command: `sdconvert generate -i OUT --prompt PROMPT --textual-inversion ${at('part.safetensors')}`,
    where: 'OUT is a conversion of the checkpoint that it was trained for, and PROMPT has its token.',
  });
});

test.for([
  ['double_blocks.0.img_attn.qkv.weight', 'a Flux model'],
  ['joint_blocks.0.x_block.attn.qkv.weight', 'Stable Diffusion 3'],
  ['adaln_single.linear.weight', 'a PixArt model'],
  ['clip_txt_mapper.weight', 'Stable Cascade'],
  ['ip_adapter.1.to_k_ip.weight', 'an IP-Adapter'],
] as const)('a file with %s is called %s, with advice', async ([name, what]) => {
  await writeSafetensors(at('part.safetensors'), [zeros(name, [4, 4])]);
  const found = await inspectWeights(at('part.safetensors'));
  expect(found.what).toContain(what);
  expect(found.next).toEqual({ advice: expect.stringMatching(/\w\.$/) });
});

test('a GGUF file is described by its types, with their counts', async () => {
  const found = await inspectWeights('test/fixtures/gguf/types.gguf');
  expect(found).toMatchObject({ kind: 'weights', format: 'GGUF', tensors: 15 });
  expect(found.weights).toContainEqual({
    stored: 'Q4_K',
    bits: 4.5,
    tensors: 1,
    parameters: 7 * 256,
    byteLength: 7 * 144,
  });
  expect(describe(found)).toMatch(/^Q4_K +1 +1,792 +1\.0 kB$/m);
});

test('a checkpoint in GGUF tells the types of each network, with their counts', async () => {
  const shapes = Object.entries(recordedPlaces('sd15')).map(([name, [shape]]) => [name, shape] as const);
  const file = headerFile(Object.fromEntries(shapes), 'model.gguf');
  const coding = { name: 'Q8_0', bits: 8.5 };
  const weights = [...file.weights].map(([name, weight]) => {
    return [name, weight.shape.length === 2 ? { ...weight, coding } : weight] as const;
  });
  const checkpoint = await readSingleFile({ ...file, weights: new Map(weights) });
  const text = describe(await inspectOpened(checkpoint, 'GGUF'));
  expect(text).toMatch(/^unet .* float16 \(\d+\), Q8_0 \(184\)/m);
});

test('8-bit floats are called that', () => {
  const { stored, bits } = plainWeight({ dtype: 'f8_e4m3', shape: [2] });
  expect([stored, bits]).toEqual(['float8_e4m3', 8]);
});

test('a folder of weight files leads to the first of them', async () => {
  mkdirSync(at('downloads'));
  writeFileSync(at('downloads', 'a.ckpt'), '');
  writeFileSync(at('downloads', 'b.safetensors'), '');
  expect(await inspect({ path: at('downloads') })).toMatchObject({
    problems: ['downloads is a folder of weight files.'],
    details: { holds: 'a.ckpt, b.safetensors' },
    next: { command: `sdconvert inspect ${at('downloads', 'a.ckpt')}` },
  });
});

test('a model on the Hub that is not in the cache is missing there, without the network', async () => {
  const error = await rejectionOf(
    inspect({
      path: 'somebody/some-model',
      hub: { endpoint: 'https://hub.invalid', offline: true, cacheDir: at('cache') },
    }),
  );
  expect(error.advice).toContain('without --offline');
});
