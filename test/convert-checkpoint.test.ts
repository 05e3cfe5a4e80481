import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { ProgressEvent } from '../src/context.ts';
import { type ConvertOptions, convertCheckpoint } from '../src/convert-checkpoint.ts';
import { emitArtifacts } from '../src/emit-artifacts.ts';
import { DiskSpaceError, InterruptedError, OutputExistsError, ValidationError } from '../src/errors.ts';
import { openCheckpoint } from '../src/weights/checkpoint.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const modelVersion = join(import.meta.dirname, '../models/sd-shapes');
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

test('a second run keeps what is there, and says so', async () => {
  const before = modificationTimes(join(whole, 'onnx/unet_chunk1'));
  const notes: string[] = [];
  const { artifacts } = await convertCheckpoint(
    { ...chunked, output: whole },
    { onProgress: (event) => void (event.type === 'note' && notes.push(event.message)) },
  );
  expect(artifacts.every(({ kept }) => kept)).toBe(true);
  expect(notes).toContain('kept onnx/unet_chunk1: it was made before with the same options.');
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
  ).rejects.toThrow('it was made from other weights');
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

test('interrupted while writing, it leaves nothing half-written', async () => {
  const output = temporary('interrupted');
  const stop = new AbortController();
  const onProgress = (event: ProgressEvent): void => {
    if (event.type === 'progress' && event.what === 'onnx/unet_chunk2') stop.abort();
  };
  await expect(
    convertCheckpoint({ ...chunked, output }, { signal: stop.signal, onProgress }),
  ).rejects.toThrow(InterruptedError);
  expect(readdirSync(join(output, 'onnx'))).toEqual(['text_encoder', 'unet_chunk1']);
  // What was complete is on record, so the next run goes on from there.
  const { artifacts } = await convertCheckpoint({ ...chunked, output, targets: ['onnx'] });
  expect(artifacts.filter(({ kept }) => kept).map(({ name }) => name)).toEqual([
    'text_encoder',
    'unet_chunk1',
  ]);
});

test('a disk without room is found out before anything is written', async () => {
  const output = temporary('full');
  const checkpoint = await openCheckpoint(modelVersion);
  const component = checkpoint.components.get('vae');
  if (!component) throw new Error('no VAE');
  const artifact = {
    name: 'vae_decoder',
    path: 'onnx/vae_decoder',
    files: [{ name: 'model.onnx_data', byteLength: 1e18 }],
    write: async () => [],
  } as const;
  const attempt = emitArtifacts(
    checkpoint,
    [{ component, artifact, options: {} }],
    { output, force: false },
    {},
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
  await expect(attempt).rejects.toThrow(/vae_decoder {2}\d+\.\d dB, at least 200 dB wanted/);
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
