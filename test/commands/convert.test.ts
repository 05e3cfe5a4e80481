import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { Examination } from '../../src/commands/conversion/examination.ts';
import { type ConvertOptions, convertDefaults } from '../../src/commands/conversion/request.ts';
import { SourceHashes } from '../../src/commands/conversion/source-hashes.ts';
import { writeStage } from '../../src/commands/conversion/write.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import type { ProgressEvent } from '../../src/context.ts';
import {
  DiskSpaceError,
  FileFormatError,
  InterruptedError,
  OutputExistsError,
  ValidationError,
} from '../../src/errors.ts';
import { version } from '../../src/version.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
const temporary = temporaryFolder();
const chunked = { modelVersion, maxChunkBytes: 7e6 } satisfies ConvertOptions;

let whole: string;
beforeAll(async () => {
  whole = temporary('whole');
  await convertCheckpoint({ ...chunked, output: whole });
});

test('two runs give byte-identical folders', async () => {
  const again = temporary('again');
  await convertCheckpoint({ ...chunked, output: again });
  expect(hashes(again)).toEqual(hashes(whole));
});

test('every JSON file of a conversion is strict JSON, though diffusers’ scheduler configs are not', () => {
  const files = Object.keys(hashes(whole)).filter((file) => file.endsWith('.json'));
  for (const file of files)
    expect(() => JSON.parse(readFileSync(join(whole, file), 'utf8')), file).not.toThrow();
  expect(new Set(files.map((file) => basename(file)))).toEqual(
    new Set([
      ...['Manifest.json', 'config.json', 'metadata.json', 'model_index.json', 'scheduler_config.json'],
      ...['sdconvert.json', 'special_tokens_map.json', 'tokenizer_config.json', 'vocab.json'],
    ]),
  );
  const scheduler = 'scheduler/scheduler_config.json';
  expect(readFileSync(join(modelVersion, scheduler), 'utf8')).toContain('"lambda_min_clipped": -Infinity');
  const written = JSON.parse(readFileSync(join(whole, 'onnx', scheduler), 'utf8'));
  expect(written).not.toHaveProperty('lambda_min_clipped');
  expect(written).toMatchObject({ algorithm_type: 'dpmsolver++', solver_order: 2 });
});

test('sdconvert.json has the size and SHA-256 of every other file there is, and of the weights they were made from', () => {
  const { artifacts } = readProvenance(whole);
  const recorded = Object.entries(artifacts).flatMap(([path, { files }]) =>
    files.map((file) => [`${path}/${file.name}`, file.sha256]),
  );
  expect(Object.fromEntries(recorded)).toEqual(hashes(whole, 'sdconvert.json'));
  const unet = 'unet/diffusion_pytorch_model.safetensors';
  expect(artifacts['onnx/unet_chunk1']?.source).toEqual({
    [unet]: sha256(join(modelVersion, unet)),
    'unet/config.json': sha256(join(modelVersion, 'unet/config.json')),
  });
});

test('a second run reuses existing results, and says so', async () => {
  const before = modificationTimes(join(whole, 'onnx/unet_chunk1'));
  const notes: string[] = [];
  const { artifacts } = await convertCheckpoint(
    { ...chunked, output: whole },
    { onProgress: (event) => void (event.type === 'note' && notes.push(event.message)) },
  );
  expect(artifacts.every(({ kept }) => kept)).toBe(true);
  expect(notes.join('\n')).toMatch(/^reused, made earlier with the same options: .*onnx\/unet_chunk1/m);
  expect(modificationTimes(join(whole, 'onnx/unet_chunk1'))).toEqual(before);
});

test('what was made with other options is not replaced without force', async () => {
  const attempt = convertCheckpoint({ ...chunked, output: whole, attention: 'SPLIT_EINSUM_V2' });
  await expect(attempt).rejects.toThrow(OutputExistsError);
  await expect(attempt).rejects.toThrow(
    'made with other options (attention was "ORIGINAL", now "SPLIT_EINSUM_V2")',
  );
});

test('what was made from other weights, or changed since, is not taken for the same', async () => {
  const copy = temporary('copy');
  cpSync(whole, copy, { recursive: true });
  appendFileSync(join(copy, 'onnx/vae_decoder/model.onnx_data'), 'x');
  await expect(convertCheckpoint({ ...chunked, output: copy })).rejects.toThrow(
    'its model.onnx_data is not the file that was written',
  );

  const other = temporary('checkpoint/sd-shapes');
  cpSync(modelVersion, other, { recursive: true });
  const weights = join(other, 'vae/diffusion_pytorch_model.safetensors');
  const bytes = readFileSync(weights);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  cpSync(whole, temporary('copy2'), { recursive: true });
  writeFileSync(weights, bytes);
  await expect(
    convertCheckpoint({ ...chunked, modelVersion: other, output: temporary('copy2') }),
  ).rejects.toThrow('other weights that are also called sd-shapes');
});

test('what was made with another config, or by another version, is not taken for the same', async () => {
  const options = { targets: ['onnx'], models: ['vae_decoder'] } satisfies Partial<ConvertOptions>;
  const checkpoint = temporary('edited/sd-shapes');
  cpSync(modelVersion, checkpoint, { recursive: true });
  const output = temporary('edited/out');
  await convertCheckpoint({ ...options, modelVersion: checkpoint, output });
  appendFileSync(join(checkpoint, 'vae/config.json'), '\n');
  await expect(convertCheckpoint({ ...options, modelVersion: checkpoint, output })).rejects.toThrow(
    'it was made from another vae/config.json',
  );

  const record = join(output, 'sdconvert.json');
  writeFileSync(record, readFileSync(record, 'utf8').replaceAll(`"${version}"`, '"0.0.1"'));
  // Another artifact of this version does not make the older one newer.
  await convertCheckpoint({ ...options, modelVersion, output, models: ['vae_encoder'] });
  await expect(convertCheckpoint({ ...options, modelVersion, output })).rejects.toThrow(
    `it was made by sdconvert 0.0.1, and this is ${version}`,
  );
});

test.each([
  ['whole', 'chunks', undefined, 7e6],
  ['chunks', 'whole', 7e6, undefined],
] as const)(
  'a UNet that is there %s is not joined by %s, and force replaces it',
  async (then, now, first, second) => {
    const output = temporary(`${then}-${now}`);
    const options = { modelVersion, output, models: ['unet'] } satisfies ConvertOptions;
    await convertCheckpoint({ ...options, maxChunkBytes: first });
    const attempt = convertCheckpoint({ ...options, maxChunkBytes: second });
    await expect(attempt).rejects.toThrow(OutputExistsError);
    await expect(attempt).rejects.toThrow('Pass --force to replace it, or another --output.');
    await convertCheckpoint({ ...options, maxChunkBytes: second, force: true });
    const fresh = temporary(`${now}-alone`);
    await convertCheckpoint({ ...options, output: fresh, maxChunkBytes: second });
    expect(hashes(output)).toEqual(hashes(fresh));
  },
);

test('a sdconvert.json that is not ours is one clear error', async () => {
  const output = temporary('malformed');
  mkdirSync(output);
  writeFileSync(join(output, 'sdconvert.json'), '{"sdconvert":"0.1.0","artifacts":{"onnx/unet":{}}}');
  const attempt = convertCheckpoint({ modelVersion, output, targets: ['onnx'], models: ['vae_decoder'] });
  await expect(attempt).rejects.toThrow(FileFormatError);
  await expect(attempt).rejects.toThrow('sdconvert.json is not as sdconvert writes it.');
});

test('force replaces, and leaves no chunk of an earlier cut behind', async () => {
  const output = temporary('forced');
  const options = { modelVersion, output, targets: ['onnx'], models: ['unet'] } satisfies ConvertOptions;
  await convertCheckpoint({ ...options, maxChunkBytes: 3e6 });
  expect(readdirSync(join(output, 'onnx')).filter((name) => name.includes('chunk')).length).toBeGreaterThan(
    2,
  );
  await convertCheckpoint({ ...options, maxChunkBytes: 7e6, force: true });
  expect(readdirSync(join(output, 'onnx')).filter((name) => name.includes('chunk'))).toEqual([
    'unet_chunk1',
    'unet_chunk2',
  ]);
});

test('networks converted one at a time make the same folder as all at once', async () => {
  const output = temporary('one-at-a-time');
  for (const name of ['unet', 'vae_encoder', 'text_encoder', 'vae_decoder'] as const)
    await convertCheckpoint({ ...chunked, output, models: [name] });
  const { 'onnx/model_index.json': _, 'sdconvert.json': __, ...files } = hashes(output);
  expect(hashes(whole)).toMatchObject(files);
  expect(Object.keys(files)).toHaveLength(Object.keys(hashes(whole)).length - 2);
  expect(readFileSync(join(output, 'onnx/model_index.json'), 'utf8')).toBe(
    readFileSync(join(whole, 'onnx/model_index.json'), 'utf8'),
  );
});

test('a dry run writes nothing and knows every size to the byte', async () => {
  const output = temporary('dry');
  const { artifacts } = await convertCheckpoint({ ...chunked, output, dryRun: true });
  expect(existsSync(output)).toBe(false);
  for (const { path, files } of artifacts) {
    for (const { name, byteLength } of files) expect(statSync(join(whole, path, name)).size).toBe(byteLength);
  }
});

test('a dry run names what bundling would add, what would be kept and what is in the way', async () => {
  const { bundled, artifacts } = await convertCheckpoint({ ...chunked, output: whole, dryRun: true });
  expect(artifacts.every(({ kept }) => kept)).toBe(true);
  expect(bundled).toEqual(
    expect.arrayContaining(['Resources/UnetChunk2.mlmodelc', 'onnx/tokenizer/vocab.json']),
  );
  for (const path of bundled) expect(existsSync(join(whole, path)), path).toBe(true);
  const notes: string[] = [];
  const onProgress = (event: ProgressEvent) => void (event.type === 'note' && notes.push(event.message));
  await convertCheckpoint({ modelVersion, output: whole, dryRun: true }, { onProgress });
  expect(notes).toEqual([
    expect.stringContaining('set encoderScaleFactor and decoderScaleFactor to '),
    expect.stringMatching(/^the conversion would stop: .*Pass --force/),
  ]);
});

test('interrupted while writing, it leaves nothing half-written', async () => {
  const output = temporary('interrupted');
  const stop = new AbortController();
  const onProgress = (event: ProgressEvent): void => {
    if (event.type === 'progress' && event.what === 'onnx/unet_chunk2') stop.abort();
  };
  await expect(
    convertCheckpoint({ ...chunked, output }, { signal: stop.signal, onProgress }),
  ).rejects.toThrow(InterruptedError);
  // A chunk alone is nothing.
  expect(readdirSync(join(output, 'onnx'))).toEqual(['text_encoder']);
  // What was complete is on record, so the next run goes on from there.
  const { artifacts } = await convertCheckpoint({ ...chunked, output, targets: ['onnx'] });
  expect(artifacts.filter(({ kept }) => kept).map(({ name }) => name)).toEqual(['text_encoder']);
});

test('interrupted before anything is complete, it leaves no folder behind', async () => {
  const output = temporary('interrupted-at-once');
  const stop = new AbortController();
  const onProgress = (event: ProgressEvent): void => {
    if (event.type === 'progress') stop.abort();
  };
  await expect(
    convertCheckpoint({ ...chunked, output }, { signal: stop.signal, onProgress }),
  ).rejects.toThrow(InterruptedError);
  expect(existsSync(output)).toBe(false);
});

test('a disk without room is found out before anything is written', async () => {
  const output = temporary('full');
  const checkpoint = await openCheckpoint(modelVersion);
  const component = checkpoint.components.get('vae');
  if (!component) throw new Error('no VAE');
  const model = {
    network: 'vae_decoder',
    component,
    target: 'onnx',
    options: {},
    examination: new Examination(),
    artifacts: [
      {
        id: { network: 'vae_decoder' },
        path: 'onnx/vae_decoder',
        files: [{ name: 'model.onnx_data', byteLength: 1e18 }],
      },
    ],
    build(): never {
      throw new Error('it was built');
    },
  } as const;
  const sources = new SourceHashes(checkpoint.path, undefined);
  const attempt = writeStage(convertDefaults).run(
    { checkpoint, output, models: [model], twins: new Map(), memory: { conversion: 0 }, sources },
    { closeAtEnd() {} },
  );
  await expect(attempt).rejects.toThrow(DiskSpaceError);
  await expect(attempt).rejects.toThrow('the disk has no room for the result: 1000000000.00 GB are needed');
  expect(existsSync(output)).toBe(false);
  await checkpoint.close();
});

test('an artifact below the floor fails the conversion, naming model and dB', async () => {
  const attempt = convertCheckpoint({
    modelVersion,
    output: temporary('floor'),
    targets: ['onnx'],
    models: ['vae_decoder'],
    minPsnr: 200,
  });
  await expect(attempt).rejects.toThrow(ValidationError);
  await expect(attempt).rejects.toThrow(/vae_decoder {2}onnx, .*\d+\.\d dB, floor 200: too far/);
});

test('the check runs what this conversion made, not what else is in the folder, against the variant it was made from', async () => {
  const checkpoint = temporary('variants/sd-shapes');
  cpSync(modelVersion, checkpoint, { recursive: true });
  // The plain weights of the VAE are broken: only the variant, which is converted, can be the reference.
  const weights = join(checkpoint, 'vae/diffusion_pytorch_model.safetensors');
  cpSync(weights, join(checkpoint, 'vae/diffusion_pytorch_model.fp16.safetensors'));
  const bytes = readFileSync(weights);
  bytes.fill(0x3c, bytes.length - 200_000);
  writeFileSync(weights, bytes);
  const output = temporary('variants/out');
  mkdirSync(join(output, 'onnx/unet'), { recursive: true });
  writeFileSync(join(output, 'onnx/unet/model.onnx'), 'no model');
  const { verdicts } = await convertCheckpoint({
    modelVersion: checkpoint,
    output,
    models: ['vae_decoder'],
    variant: 'fp16',
    minPsnr: 35,
    force: true, // there are files beside it
  });
  expect(verdicts.map(({ model, paths }) => [model, paths])).toEqual([
    ['vae_decoder', [join(output, 'onnx/vae_decoder')]],
    ['vae_decoder', [join(output, 'Stable_Diffusion_version_sd-shapes_vae_decoder.mlpackage')]],
  ]);
});

/** SHA-256 of every file below a folder, by path. */
function hashes(folder: string, ...without: string[]): Record<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
  return Object.fromEntries(
    paths.filter((path) => !without.includes(path)).map((path) => [path, sha256(join(folder, path))]),
  );
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function modificationTimes(folder: string): number[] {
  return ['model.onnx', 'model.onnx_data'].map((name) => statSync(join(folder, name)).mtimeMs);
}

function readProvenance(folder: string): {
  artifacts: Record<string, { source: Record<string, string>; files: { name: string; sha256: string }[] }>;
} {
  return JSON.parse(readFileSync(join(folder, 'sdconvert.json'), 'utf8'));
}

test('bits that there are none of are refused before anything is opened', async () => {
  const request = { modelVersion: '/nowhere', quantization: { bits: 5 } };
  await expect(convertCheckpoint(request)).rejects.toThrow(/palette of 5 bits/);
});

test('a package of Stable Diffusion XL is the same, whatever else of the checkpoint is on the disk', async () => {
  const all = join(import.meta.dirname, '../fixtures/sdxl');
  const textAlone = temporary('text-alone/sdxl');
  for (const name of ['model_index.json', 'text_encoder'])
    cpSync(join(all, name), join(textAlone, name), { recursive: true });
  const options = { targets: ['coreml'], models: ['text_encoder'], bundle: false } as const;
  const [first, second] = [temporary('text-alone/first'), temporary('text-alone/second')];
  await convertCheckpoint({ ...options, modelVersion: textAlone, output: first });
  await convertCheckpoint({ ...options, modelVersion: all, output: second });
  const name = 'Stable_Diffusion_version_sdxl_text_encoder.mlpackage';
  expect(hashes(join(first, name))).toEqual(hashes(join(second, name)));
  const description = readFileSync(join(first, name, 'Data/com.apple.CoreML/model.mlmodel'), 'latin1');
  expect(description).toContain('OpenRAIL++-M');
});
