import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundlePackages } from '../../src/commands/bundle.ts';
import type { ConvertOptions } from '../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { verify } from '../../src/commands/verify.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { withArtifact } from '../../src/formats/open.ts';
import { readProvenance } from '../../src/formats/provenance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
const temporary = temporaryFolder();
const notes: string[] = [];

let output: string;
beforeAll(async () => {
  output = temporary('out');
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'note') notes.push(event.message);
  };
  await convertCheckpoint({ modelVersion, output, targets: ['coreai'] }, { onProgress });
}, 240_000);

const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const check = async (folder: string) => {
  const { clients, problems } = await verify({ path: folder, clients: ['coreai'] });
  return { problems, mend: clients?.[0]?.mend };
};

test('what is written for Core AI is what Apple’s pipelines read', async () => {
  expect(await check(output)).toEqual({ problems: [], mend: undefined });
  expect(read(join(output, 'CoreAI/metadata.json'))).toEqual({
    metadata_version: '0.2',
    kind: 'diffusion',
    name: 'sd-shapes',
    assets: {
      text_encoder: 'TextEncoder.aimodel',
      unet: 'Unet.aimodel',
      vae_decoder: 'VAEDecoder.aimodel',
      vae_encoder: 'VAEEncoder.aimodel',
    },
    diffusion: {
      type: 'stable-diffusion',
      prediction_type: 'epsilon',
      image_size: 64,
      scheduler: {
        training_steps: 1000,
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: 'scaled_linear',
      },
      encoder_scale_factor: expect.any(Number),
      decoder_scale_factor: expect.any(Number),
      decoder_shift_factor: 0,
    },
  });
  expect(notes.filter((note) => note.includes('Core AI'))).toEqual([]);
});

test('every file of the folder is on record', async () => {
  const { artifacts = {} } = (await readProvenance(output)) ?? {};
  expect(Object.keys(artifacts)).toEqual([
    'CoreAI',
    'CoreAI/TextEncoder.aimodel',
    'CoreAI/Unet.aimodel',
    'CoreAI/VAEDecoder.aimodel',
    'CoreAI/VAEEncoder.aimodel',
  ]);
  expect((await verify({ path: output })).problems).toEqual([]);
});

test('there is nothing to bundle, and bundle says that the folder is complete', async () => {
  await expect(bundlePackages({ folder: output })).rejects.toThrow(
    `${join(output, 'CoreAI')} is complete: coreai loads it as it is. Name the output folder of a conversion with --target coreml.`,
  );
});

type Json = Record<string, unknown>;

/** A folder in which something is otherwise, and what is said of it. */
const rules: readonly (readonly [what: string, change: (folder: string) => void, problem: string])[] = [
  ['no vocabulary', gone('vocab.json'), 'vocab.json is missing.'],
  ['no merges', gone('merges.txt'), 'merges.txt is missing.'],
  ['no metadata', gone('metadata.json'), 'metadata.json is missing.'],
  [
    'the description of older exporters',
    (folder) => renameSync(join(folder, 'metadata.json'), join(folder, 'pipeline.json')),
    'metadata.json is missing; the pipeline.json is of older exporters.',
  ],
  ['NaN', text(() => '{"kind": NaN}'), 'metadata.json is not strict JSON.'],
  ['a list', text(() => '[]'), 'metadata.json: it is [], and coreai reads an object.'],
  ['no version', metadata({ metadata_version: undefined }), 'metadata.json lacks metadata_version ("0.2").'],
  [
    'a newer version',
    metadata({ metadata_version: '0.3' }),
    'metadata.json: metadata_version is "0.3", and coreai reads "0.2".',
  ],
  ['another kind', metadata({ kind: 'llm' }), 'metadata.json: kind is "llm", and coreai reads "diffusion".'],
  ['no name', metadata({ name: undefined }), 'metadata.json lacks name (a text).'],
  ['no assets', metadata({ assets: undefined }), 'metadata.json lacks assets (names of files).'],
  [
    'an asset that is no name',
    metadata({ assets: { unet: 1 } }),
    'metadata.json: assets.unet is 1, and coreai reads a text.',
  ],
  [
    'an asset elsewhere',
    metadata({ assets: { unet: '../Unet.aimodel' } }),
    'metadata.json: assets.unet is "../Unet.aimodel", and coreai reads a name of a file beside it.',
  ],
  [
    'what nests without end',
    (folder) =>
      writeFileSync(join(folder, 'metadata.json'), `{"kind": ${'['.repeat(50_000)}${']'.repeat(50_000)}}`),
    'metadata.json is not strict JSON.',
  ],
  [
    'no UNet among the assets',
    metadata({ assets: { text_encoder: 'TextEncoder.aimodel', vae_decoder: 'VAEDecoder.aimodel' } }),
    'metadata.json names no unet in assets.',
  ],
  [
    'no settings',
    metadata({ diffusion: undefined }),
    'metadata.json lacks diffusion (the settings of a pipeline).',
  ],
  [
    'an unknown pipeline',
    diffusion({ type: 'sdxl' }),
    'metadata.json: diffusion.type is "sdxl", and coreai reads stable-diffusion, stable-diffusion-xl.',
  ],
  [
    'an unknown prediction',
    diffusion({ prediction_type: 'sample' }),
    'metadata.json: diffusion.prediction_type is "sample", and coreai reads epsilon, v_prediction.',
  ],
  [
    'a size that is a text',
    diffusion({ image_size: '64' }),
    'metadata.json: diffusion.image_size is "64", and coreai reads a whole number.',
  ],
  [
    'a size that is not the UNet’s',
    diffusion({ image_size: 512 }),
    'metadata.json: diffusion.image_size is 512, and the UNet draws 64 pixels.',
  ],
  [
    'half a scheduler',
    diffusion({ scheduler: { training_steps: 1000, beta_start: 0.1, beta_end: 0.2 } }),
    'metadata.json lacks diffusion.scheduler.beta_schedule (scaled_linear).',
  ],
  [
    'betas that the pipelines lack',
    diffusion({
      scheduler: { training_steps: 1000, beta_start: 0.1, beta_end: 0.2, beta_schedule: 'linear' },
    }),
    'metadata.json: diffusion.scheduler.beta_schedule is "linear", and coreai reads scaled_linear.',
  ],
  [
    'a scale that is a text',
    diffusion({ decoder_scale_factor: '0.18' }),
    'metadata.json: diffusion.decoder_scale_factor is "0.18", and coreai reads a number.',
  ],
  [
    'a shift',
    diffusion({ decoder_shift_factor: 0.1 }),
    'metadata.json: diffusion.decoder_shift_factor is 0.1, and coreai reads 0, for it shifts no latents.',
  ],
  ['no file of an asset', gone('VAEDecoder.aimodel'), 'VAEDecoder.aimodel is missing.'],
  [
    'an asset of another version',
    json('Unet.aimodel/metadata.json', (all) => ({ ...all, assetVersion: '1.0' })),
    'Unet.aimodel/metadata.json has the assetVersion "1.0", and Core AI reads "2.0".',
  ],
  [
    'an asset without a version',
    json('Unet.aimodel/metadata.json', ({ assetVersion: _, ...rest }) => rest),
    'Unet.aimodel/metadata.json has no assetVersion, and Core AI reads "2.0".',
  ],
  [
    'a function of another name',
    program('Unet.aimodel', 'main', 'mein'),
    'Unet.aimodel has no function main, which clients call: it has mein.',
  ],
  [
    'an operation of another dialect',
    program('Unet.aimodel', 'primitive.conv2d_v1', 'primitive.conv2q_v1'),
    'Unet.aimodel has operations that are unknown here: primitive.conv2q_v1.',
  ],
  [
    'an operation of a later version',
    program('TextEncoder.aimodel', 'softmax_v1', 'softmax_v9'),
    'TextEncoder.aimodel has operations that are unknown here: softmax_v9.',
  ],
  [
    'the hash of another program',
    (folder) => cpSync(join(folder, 'VAEDecoder.aimodel/main.hash'), join(folder, 'Unet.aimodel/main.hash')),
    'Unet.aimodel/main.hash is not the SHA-256 of main.mlirb.',
  ],
  [
    'half a hash',
    (folder) => truncateSync(join(folder, 'Unet.aimodel/main.hash'), 16),
    'Unet.aimodel/main.hash is not the SHA-256 of main.mlirb.',
  ],
  ['no hash', gone('Unet.aimodel/main.hash'), 'Unet.aimodel/main.hash is missing.'],
  [
    'more than a device of 8 GB loads at once',
    (folder) => {
      const file = join(folder, 'Unet.aimodel/sparse');
      writeFileSync(file, '');
      truncateSync(file, 4 * 2 ** 30);
    },
    'Unet.aimodel has 4.31 GB, and devices with 8 GB of memory load at most 4.29 GB at once: convert it with --quantize-nbits 8.',
  ],
  [
    'the wrong asset for the text encoder',
    metadata({
      assets: { text_encoder: 'VAEDecoder.aimodel', unet: 'Unet.aimodel', vae_decoder: 'VAEDecoder.aimodel' },
    }),
    'VAEDecoder.aimodel: z is float32 [1, 4, 8, 8], and coreai has int32 [1, 77].',
  ],
  [
    'the wrong asset for the UNet',
    metadata({
      assets: {
        text_encoder: 'TextEncoder.aimodel',
        unet: 'VAEDecoder.aimodel',
        vae_decoder: 'VAEDecoder.aimodel',
      },
    }),
    'VAEDecoder.aimodel takes z, and coreai passes 3 inputs.',
  ],
  [
    'an encoder for the decoder',
    metadata({
      assets: {
        text_encoder: 'TextEncoder.aimodel',
        unet: 'Unet.aimodel',
        vae_decoder: 'VAEEncoder.aimodel',
      },
    }),
    'VAEEncoder.aimodel: image is float32 [1, 3, 64, 64], and coreai has float32 or float16 [1, 4, h, w].',
  ],
];

describe('every rule', () => {
  test.each(rules)('%s', async (_, change, problem) => {
    const { problems, mend } = await check(changed(change));
    expect(problems).toContain(`coreai: ${problem}`);
    const more = problem.includes('--quantize-nbits 8') ? ' --quantize-nbits 8' : '';
    expect(mend).toMatch(new RegExp(`^sdconvert convert --model-version \\S+ --for coreai${more} -o \\S+`));
  });
});

test('one fault of an asset is told in one sentence', async () => {
  for (const content of ['{"assetVersion": "1.0"}', '{']) {
    const folder = changed(text(() => content, 'Unet.aimodel/metadata.json'));
    expect((await check(folder)).problems).toEqual([
      expect.stringContaining('coreai: Unet.aimodel/metadata.json'),
    ]);
  }
});

test('an asset alone is no folder that could be verified for a client', async () => {
  const path = join(output, 'CoreAI/Unet.aimodel');
  await expect(check(path)).rejects.toThrow(
    `${path} is one model, and clients load a folder of several.\nName the folder that holds it: ${join(output, 'CoreAI')}.`,
  );
});

test('an asset cut short is told, and the command mends it', async () => {
  const folder = temporary('cut');
  cpSync(output, folder, { recursive: true });
  truncateSync(join(folder, 'CoreAI/Unet.aimodel/main.mlirb'), 5000);
  const { problems, mend } = await check(folder);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain('Unet.aimodel');
  expect(mend).toBe(`sdconvert convert --model-version CHECKPOINT --for coreai -o ${folder} --force`);
  await convertCheckpoint({ modelVersion, output: folder, clients: ['coreai'], force: true });
  expect(await check(folder)).toEqual({ problems: [], mend: undefined });
});

test('the command that mends has the options on record, but those that the pipelines refuse', async () => {
  const folder = temporary('options');
  const sizes = { latentHeight: 8, latentWidth: 8, textTokens: 154 };
  const quantization = { bits: 4 };
  const options = {
    targets: ['coreai'],
    models: ['unet'],
    precision: 'float32',
    sizes,
    quantization,
  } as const;
  await convertCheckpoint({ modelVersion, output: folder, ...options });
  expect((await check(folder)).mend).toBe(
    `sdconvert convert --model-version CHECKPOINT --for coreai --precision float32 --quantize-nbits 4 --latent-h 8 --latent-w 8 -o ${folder} --force`,
  );
});

test('betas that the pipelines lack are told, and that no command mends them', async () => {
  const checkpoint = temporary('linear');
  cpSync(modelVersion, checkpoint, { recursive: true });
  text((all) => all.replace('"scaled_linear"', '"linear"'), 'scheduler/scheduler_config.json')(checkpoint);
  const folder = temporary('linear-out');
  await convertCheckpoint({ modelVersion: checkpoint, output: folder, targets: ['coreai'] });
  expect(await check(folder)).toEqual({
    problems: [
      'coreai: metadata.json: diffusion.scheduler.beta_schedule is "linear", and coreai reads scaled_linear.',
    ],
    mend: undefined,
  });
});

test('metadata that went is written by the same conversion again, which keeps the assets', async () => {
  const folder = temporary('again');
  cpSync(output, folder, { recursive: true });
  rmSync(join(folder, 'CoreAI/metadata.json'));
  expect((await check(folder)).mend).toBe(
    `sdconvert convert --model-version CHECKPOINT --for coreai -o ${folder}`,
  );
  const { artifacts } = await convertCheckpoint({ modelVersion, output: folder, clients: ['coreai'] });
  expect(artifacts.every(({ kept }) => kept)).toBe(true);
  expect((await check(folder)).problems).toEqual([]);
});

test('options that were others are told in words', async () => {
  const options = { modelVersion, output, clients: ['coreai'], quantization: { bits: 4 } } as const;
  await expect(convertCheckpoint(options)).rejects.toThrow('(quantization was not set, now bits 4)');
});

/** An asset of another conversion in the place of one. */
async function replaced(
  name: string,
  options: Pick<ConvertOptions, 'models' | 'sizes'>,
  from = modelVersion,
): Promise<readonly string[]> {
  const other = temporary(`other-${copies++}`);
  await convertCheckpoint({
    modelVersion: from,
    output: other,
    targets: ['coreai'],
    bundle: false,
    ...options,
  });
  const folder = changed(gone(name));
  cpSync(join(other, 'CoreAI', name), join(folder, name), { recursive: true });
  return (await check(folder)).problems;
}

test('assets that do not fit one another are told', async () => {
  const sizes = { latentHeight: 16, latentWidth: 16 };
  expect(await replaced('VAEDecoder.aimodel', { models: ['vae_decoder'], sizes })).toEqual([
    'coreai: the VAE decoder takes latents [1, 4, 16, 16], and the UNet gives [1, 4, 8, 8].',
  ]);
  expect(await replaced('VAEEncoder.aimodel', { models: ['vae_encoder'], sizes })).toEqual([
    'coreai: the VAE encoder takes pictures [1, 3, 128, 128], and the UNet draws [1, 3, 64, 64].',
  ]);
  expect(await replaced('Unet.aimodel', { models: ['unet'], sizes: { textTokens: 154 } })).toContainEqual(
    expect.stringMatching(
      /Unet\.aimodel: encoder_hidden_states is float32 \[2, 154, \d+\], and coreai has .*\[2, 77, C\]/,
    ),
  );
  const wide = join(import.meta.dirname, '../fixtures/sd15-wide-f16');
  expect(
    await replaced('Unet.aimodel', { models: ['unet'], sizes: { latentHeight: 8, latentWidth: 8 } }, wide),
  ).toEqual(['coreai: the text encoder gives 64 channels, and the UNet takes 48.']);
});

test('a compiled asset in the place of an asset is taken', async () => {
  const folder = changed((own) => {
    rmSync(join(own, 'Unet.aimodel'), { recursive: true });
    mkdirSync(join(own, 'Unet.aimodelc'));
  });
  expect((await check(folder)).problems).toEqual([]);
});

test('what is no square is drawn by nobody, and convert says so', async () => {
  const folder = temporary('wide');
  const told: string[] = [];
  const sizes = { latentHeight: 8, latentWidth: 16 };
  const options = { modelVersion, output: folder, targets: ['coreai'], models: ['unet'], sizes } as const;
  await convertCheckpoint(options, {
    onProgress: (event) => {
      if (event.type === 'note') told.push(event.message);
    },
  });
  expect(told).toContain('Apple’s Core AI pipelines draw squares alone: other sizes need Swift of your own.');
  expect((await check(folder)).problems).toContain(
    'coreai: the UNet draws 128 × 64 pixels, and coreai draws squares: convert it with equal --latent-h and --latent-w.',
  );
});

test('a batch of one and attention in other operations are Core ML’s: convert says what becomes of them', async () => {
  const folder = temporary('beside');
  const told: string[] = [];
  const options = { modelVersion, output: folder, targets: ['coreml', 'coreai'], models: ['unet'] } as const;
  await convertCheckpoint(
    { ...options, sizes: { unetBatch: 1 }, attention: 'SPLIT_EINSUM', bundle: false },
    { onProgress: (event) => event.type === 'note' && told.push(event.message) },
  );
  const rowsOf = async (path: string) => {
    const { inputs } = await withArtifact(join(folder, path), (artifact) => artifact.facts());
    return inputs[0]?.shape?.[0];
  };
  expect(await rowsOf('Stable_Diffusion_version_sd-shapes_unet.mlpackage')).toBe(1);
  expect(await rowsOf('CoreAI/Unet.aimodel')).toBe(2);
  expect(told).toContain(
    '--unet-batch-one leaves Core AI’s UNet as it is: Apple’s Core AI pipelines pass two rows.',
  );
  expect(told).toContainEqual(
    expect.stringMatching(/^with --attention SPLIT_EINSUM no attention is declared/),
  );
  // The same options of the same checkpoint are the same asset.
  const { artifacts = {} } = (await readProvenance(folder)) ?? {};
  expect(artifacts['CoreAI/Unet.aimodel']?.options).not.toHaveProperty('unetBatch');
});

let copies = 0;
function changed(change: (folder: string) => void): string {
  const folder = temporary(`changed-${copies++}`);
  cpSync(join(output, 'CoreAI'), folder, { recursive: true });
  change(folder);
  return folder;
}

function gone(name: string) {
  return (folder: string) => rmSync(join(folder, name), { recursive: true });
}

/** Another name of as many letters in the program of an asset, whose hash is made anew. */
function program(asset: string, name: string, other: string) {
  return (folder: string) => {
    const path = join(folder, asset, 'main.mlirb');
    const bytes = readFileSync(path);
    for (let at = bytes.indexOf(`${name}\0`); at >= 0; at = bytes.indexOf(`${name}\0`, at + 1))
      bytes.write(other, at);
    writeFileSync(path, bytes);
    writeFileSync(join(folder, asset, 'main.hash'), createHash('sha256').update(bytes).digest());
  };
}

function text(change: (text: string) => string, name = 'metadata.json') {
  return (folder: string) => {
    const path = join(folder, name);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
  };
}

function json(name: string, change: (all: Json) => Json) {
  return text((before) => JSON.stringify(change(JSON.parse(before))), name);
}

function metadata(change: Json) {
  return json('metadata.json', (all) => ({ ...all, ...change }));
}

function diffusion(change: Json) {
  return json('metadata.json', (all) => ({ ...all, diffusion: { ...(all.diffusion as Json), ...change } }));
}
