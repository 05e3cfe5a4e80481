import { mkdirSync, promises, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, test, vi } from 'vitest';
import { inspect } from '../../src/commands/inspect.ts';
import { describe } from '../../src/inspect/describe.ts';
import type { ArtifactsInspection } from '../../src/inspect/inspection.ts';
import { sha256 } from '../support/hub-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

async function inspectArtifacts(path: string): Promise<ArtifactsInspection> {
  const inspection = await inspect({ path });
  if (inspection.kind !== 'artifacts') throw new Error(`it was taken for ${inspection.kind}`);
  return inspection;
}

/** Writes files of the given sizes. */
function write(folder: string, files: Readonly<Record<string, number>>): string {
  for (const [name, byteLength] of Object.entries(files)) {
    mkdirSync(dirname(at(folder, name)), { recursive: true });
    writeFileSync(at(folder, name), new Uint8Array(byteLength));
  }
  return at(folder);
}

const options = { attention: 'ORIGINAL', precision: 'float16' };

/** An output folder of ours, of two models. */
function output(folder: string): string {
  const sizes = { 'model.onnx': 10, 'model.onnx_data': 100 };
  const models = ['onnx/text_encoder', 'onnx/unet'];
  write(
    folder,
    Object.fromEntries(
      models.flatMap((model) => Object.entries(sizes).map(([name, size]) => [`${model}/${name}`, size])),
    ),
  );
  const files = Object.entries(sizes).map(([name, byteLength]) => {
    return { name, byteLength, sha256: sha256(new Uint8Array(byteLength)) };
  });
  const artifacts = Object.fromEntries(models.map((model) => [model, { source: {}, options, files }]));
  writeFileSync(at(folder, 'sdconvert.json'), JSON.stringify({ sdconvert: '0.1.0', artifacts }));
  return at(folder);
}

test('weights that were kept though not finite are named', async () => {
  const path = output('kept');
  const record = JSON.parse(readFileSync(at('kept', 'sdconvert.json'), 'utf8'));
  const finding = { problem: 'non-finite', weight: 'conv_in.weight', elements: 2304 };
  record.artifacts['onnx/unet'].findings = [{ ...finding, nan: 3, infinite: 0, overflowing: 0, first: 5 }];
  writeFileSync(at('kept', 'sdconvert.json'), JSON.stringify(record));
  const inspection = await inspectArtifacts(path);
  expect(inspection.artifacts.map(({ findings }) => findings?.length)).toEqual([undefined, 1]);
  expect(describe(inspection)).toContain(
    'onnx/unet: conv_in.weight: 3 NaN of 2,304 elements, the first at 5',
  );
});

test('options on record that are no texts are shown as what they are', async () => {
  const path = output('odd-options');
  const record = JSON.parse(readFileSync(at('odd-options', 'sdconvert.json'), 'utf8'));
  record.artifacts['onnx/unet'].options = {
    attention: { toString: 1, valueOf: 1 },
    precision: [['float16']],
  };
  writeFileSync(at('odd-options', 'sdconvert.json'), JSON.stringify(record));
  expect(describe(await inspectArtifacts(path))).toContain('{ toString: 1, valueOf: 1 } [["float16"]]');
});

test('a file that was changed in its place is named, though it has its size', async () => {
  const path = output('changed');
  const data = at('changed', 'onnx/unet/model.onnx_data');
  writeFileSync(data, new Uint8Array(100).fill(1));
  const later = Date.now() / 1000 + 10;
  utimesSync(data, later, later);
  // Copied later, it is what it was.
  utimesSync(at('changed', 'onnx/text_encoder/model.onnx'), later, later);
  expect((await inspectArtifacts(path)).problems).toEqual([
    'onnx/unet/model.onnx_data has changed since it was written.',
  ]);
});

test('an output folder is described with what sdconvert.json says of its models', async () => {
  const path = output('whole');
  expect(await inspectArtifacts(path)).toEqual({
    kind: 'artifacts',
    path,
    scheduler: null,
    compatibleSchedulers: [],
    sdconvert: '0.1.0',
    artifacts: ['onnx/text_encoder', 'onnx/unet'].map((model) => ({
      path: model,
      format: 'onnx',
      byteLength: 110,
      options,
    })),
    problems: [],
    next: { command: expect.stringContaining('sdconvert inspect') },
  });
});

test('a file that is missing or not as large as it was written is named', async () => {
  const path = output('damaged');
  rmSync(at('damaged/onnx/text_encoder'), { recursive: true });
  rmSync(at('damaged/onnx/unet/model.onnx'));
  writeFileSync(at('damaged/onnx/unet/model.onnx_data'), new Uint8Array(99));
  const { problems, next } = await inspectArtifacts(path);
  expect(problems).toEqual([
    'onnx/text_encoder is missing.',
    'onnx/unet/model.onnx is missing.',
    'onnx/unet/model.onnx_data has 99 bytes, but 100 were written.',
  ]);
  expect(next).toEqual({ advice: expect.stringContaining('--force') });
});

test('a sdconvert.json that is not ours is said, and the models are listed all the same', async () => {
  const path = output('foreign');
  writeFileSync(at('foreign/sdconvert.json'), '{"artifacts":[]}');
  const { problems, artifacts, sdconvert } = await inspectArtifacts(path);
  expect(problems).toEqual([`${at('foreign/sdconvert.json')} is not as sdconvert writes it.`]);
  expect(sdconvert).toBeNull();
  expect(artifacts).toHaveLength(2);
});

test("another exporter's folder and Apple's are found by their models", async () => {
  const exported = write('exported', {
    'model_index.json': 2,
    'unet/model.onnx': 5,
    'unet/model.onnx_data': 7,
    'vae/decoder.onnx': 3,
  });
  expect((await inspectArtifacts(exported)).artifacts).toMatchObject([
    { path: 'unet', format: 'onnx', byteLength: 12 },
    { path: 'vae/decoder.onnx', format: 'onnx', byteLength: 3 },
  ]);
  const apple = write('apple', {
    'original/packages/a_unet.mlpackage/Manifest.json': 4,
    'split_einsum/compiled/Unet.mlmodelc/model.mil': 6,
  });
  expect((await inspectArtifacts(apple)).artifacts).toMatchObject([
    { path: 'original/packages/a_unet.mlpackage', format: 'mlpackage', byteLength: 4, options: null },
    { path: 'split_einsum/compiled/Unet.mlmodelc', format: 'mlmodelc', byteLength: 6, options: null },
  ]);
});

test('an ONNX folder with all that a picture needs leads to drawing one', async () => {
  const models = ['text_encoder', 'unet_chunk1', 'unet_chunk2', 'vae_decoder'];
  const path = write('onnx', Object.fromEntries(models.map((model) => [`onnx/${model}/model.onnx`, 1])));
  expect((await inspectArtifacts(path)).next).toEqual({
    command: `sdconvert generate -i ${path} --prompt 'an astronaut riding a horse'`,
  });
});

test.for([
  [
    'packages',
    [
      'v_text_encoder.mlpackage/Manifest.json',
      'v_unet.mlpackage/Manifest.json',
      'v_vae_decoder.mlpackage/Manifest.json',
    ],
  ],
  [
    'Resources',
    [
      'TextEncoder.mlmodelc/model.mil',
      'UnetChunk1.mlmodelc/model.mil',
      'UnetChunk2.mlmodelc/model.mil',
      'VAEDecoder.mlmodelc/model.mil',
    ],
  ],
] as const)('a folder of Core ML models (%s) leads to drawing with them', async ([folder, files]) => {
  const path = write(folder, Object.fromEntries(files.map((file) => [file, 1])));
  expect((await inspectArtifacts(path)).next).toEqual({
    command: `sdconvert generate -i ${path} --prompt 'an astronaut riding a horse'`,
  });
});

test('the text lists the largest model first', async () => {
  const path = write('sizes', { 'onnx/small/model.onnx': 10, 'onnx/large/model.onnx': 2_000 });
  const lines = describe(await inspectArtifacts(path)).split('\n');
  expect(lines.findIndex((line) => line.includes('large'))).toBeLessThan(
    lines.findIndex((line) => line.includes('small')),
  );
  expect(lines.at(-1)).toBe(`Next: sdconvert inspect ${path}/onnx/large`);
});

test('a link that leads nowhere does not hide what else is in the folder', async () => {
  const folder = output('with a link');
  symlinkSync(at('nowhere'), at('with a link', 'dangling.safetensors'));
  const { artifacts } = await inspectArtifacts(folder);
  expect(artifacts.map(({ path }) => path)).toEqual(['onnx/text_encoder', 'onnx/unet']);
});

test('one model under many names is measured once, and folders that lead around in circles once', async () => {
  write('links/model', Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`data${index}`, 1])));
  write('links/model', { 'model.onnx': 1 });
  for (let index = 0; index < 50; index++) symlinkSync('model', at('links', `again${index}`));
  const opened = vi.spyOn(promises, 'open');
  const { artifacts } = await inspectArtifacts(at('links'));
  expect(artifacts).toHaveLength(51);
  expect(artifacts.every(({ byteLength }) => byteLength === 51)).toBe(true);
  expect(opened.mock.calls.length).toBeLessThan(200);
  opened.mockRestore();
  mkdirSync(at('circle'));
  for (let index = 0; index < 60; index++) symlinkSync('.', at('circle', `again${index}`));
  const listed = vi.spyOn(promises, 'readdir');
  await inspect({ path: at('circle') }).catch(() => {});
  expect(listed.mock.calls.length).toBeLessThan(100);
  listed.mockRestore();
});
