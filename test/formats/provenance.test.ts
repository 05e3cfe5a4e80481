import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import { compilePackage } from '../../src/commands/compile.ts';
import { FileFormatError } from '../../src/errors.ts';
import { writePackage } from '../../src/formats/coreml/package/package.ts';
import { readProvenance, recordBundle, updateProvenance } from '../../src/formats/provenance.ts';
import { forgetProvenance, recordBegun } from '../../src/formats/replaced-paths.ts';
import { version } from '../../src/version.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';
import { layeredModel } from './onnx/layered-model.ts';

const at = temporaryFolder();
const output = () => at('out');

beforeEach(() => {
  rmSync(output(), { recursive: true, force: true });
  mkdirSync(output(), { recursive: true });
});

const file = (name: string) => ({ name, byteLength: 1, sha256: '00' });
const record = (...names: string[]) => ({ source: {}, options: {}, files: names.map(file) });

function touch(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(at('out', path)), { recursive: true });
    writeFileSync(at('out', path), 'x');
  }
}

async function recorded(): Promise<Record<string, string[]>> {
  const { artifacts = {} } = (await readProvenance(output())) ?? {};
  return Object.fromEntries(
    Object.entries(artifacts).map(([path, { files }]) => [path, files.map(({ name }) => name)]),
  );
}

test('an older record keeps the version that made it', async () => {
  const older = { sdconvert: '0.0.1', artifacts: { 'onnx/unet': record('model.onnx') } };
  writeFileSync(at('out/sdconvert.json'), JSON.stringify(older));
  await updateProvenance(output(), { written: { 'onnx/vae_decoder': record('model.onnx') } });
  const { artifacts = {} } = (await readProvenance(output())) ?? {};
  expect(artifacts['onnx/unet']?.version).toBe('0.0.1');
  expect(artifacts['onnx/vae_decoder']?.version).toBe(version);
});

test('a sdconvert.json of another shape is refused, naming what is wrong with it', async () => {
  writeFileSync(at('out/sdconvert.json'), '{"sdconvert":"0.1.0","artifacts":{"a":{"files":3}}}');
  const error = await rejectionOf(readProvenance(output()));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toBe(`${at('out/sdconvert.json')} is not as sdconvert writes it.`);
  expect(Object.keys(error.details)).toEqual(['artifacts.a.source']);
  writeFileSync(at('out/sdconvert.json'), '{"sdconvert":');
  expect(await rejectionOf(readProvenance(output()))).toBeInstanceOf(FileFormatError);
});

test('what is replaced or removed goes off the record, with the files that others recorded in it', async () => {
  const artifacts = { 'onnx/unet_chunk1': record('model.onnx'), 'onnx/unet_chunk10': record('model.onnx') };
  const bundle = record('unet_chunk1/config.json', 'unet_chunk10/config.json');
  await updateProvenance(output(), { written: { ...artifacts, onnx: bundle } });
  await updateProvenance(output(), { gone: ['onnx/unet_chunk1'] });
  expect(await recorded()).toEqual({
    onnx: ['unet_chunk10/config.json'],
    'onnx/unet_chunk10': ['model.onnx'],
  });
});

test('bundling again keeps on record what is still there, in one order', async () => {
  touch('Resources/Unet.mlmodelc/model.mil');
  await recordBundle(output(), 'Resources', [
    file('Unet.mlmodelc/model.mil'),
    file('UnetChunk1.mlmodelc/model.mil'),
  ]);
  await recordBundle(output(), 'Resources', [file('TextEncoder.mlmodelc/model.mil')]);
  expect(await recorded()).toEqual({
    Resources: ['TextEncoder.mlmodelc/model.mil', 'Unet.mlmodelc/model.mil'],
  });
});

test.each([
  ['a package', 'x_unet.mlpackage'],
  ['a model’s folder', 'onnx/unet'],
  ['a bundle', 'Resources/Unet.mlmodelc'],
  ['a ControlNet’s bundle', 'Resources/controlnet/Canny.mlmodelc'],
])('%s that is about to be replaced is found in the record of its output folder', async (_, path) => {
  await updateProvenance(output(), { written: { [path]: record('a'), other: record('b') } });
  await forgetProvenance(at('out', path));
  expect(await recorded()).toEqual({ other: ['b'] });
});

test('a folder without a record gets none from forgetting', async () => {
  await forgetProvenance(at('out/onnx/unet'));
  expect(existsSync(at('out/sdconvert.json'))).toBe(false);
});

test('chunk, compile and bundle leave nothing false on record', async () => {
  const [unet, chunk1] = ['x_unet.mlpackage', 'x_unet_chunk1.mlpackage'];
  await writePackage(at('out', unet), layeredModel(), () => {});
  cpSync(at('out', unet), at('out', chunk1), { recursive: true });
  const stale = 'Unet.mlmodelc/stale';
  await updateProvenance(output(), {
    written: { [unet]: record('Manifest.json'), [chunk1]: record('stale'), Resources: record(stale) },
  });
  touch(`Resources/${stale}`);

  await chunkArtifact({ artifact: at('out', unet), maxChunkBytes: 2600, force: true });
  const { [chunk1]: ofChunk, ...others } = await recorded();
  expect(ofChunk).toContain('Manifest.json');
  expect(ofChunk).not.toContain('stale');
  expect(others).toMatchObject({ Resources: [stale], [unet]: ['Manifest.json'] });

  await bundlePackages({ folder: output(), compiler: 'own' });
  const { Resources = [] } = await recorded();
  expect(Resources).not.toContain(stale);
  expect(Resources.length).toBeGreaterThan(0);
  for (const name of Resources) expect(existsSync(at('out/Resources', name)), name).toBe(true);

  const compiled = at('out/Resources/UnetChunk1.mlmodelc');
  await compilePackage({ package: at('out', chunk1), output: compiled, compiler: 'own', force: true });
  const after = (await recorded()).Resources ?? [];
  expect(after).toEqual(Resources.filter((name) => !name.startsWith('UnetChunk1.mlmodelc/')));
});

test('bundling a folder of another tool’s packages makes no sdconvert.json', async () => {
  await writePackage(at('out/x_unet.mlpackage'), layeredModel(), () => {});
  await bundlePackages({ folder: output(), compiler: 'own' });
  expect(existsSync(at('out/sdconvert.json'))).toBe(false);
  expect(readFileSync(at('out/Resources/Unet.mlmodelc/metadata.json'), 'utf8')).toContain('Ios16');
});

test('a record of somebody else, above a place where no conversion lays out anything, is left alone', async () => {
  const text = JSON.stringify({
    sdconvert: '0.0.1',
    artifacts: { 'unet.mlpackage': record('Manifest.json') },
  });
  writeFileSync(at('out/sdconvert.json'), text);
  for (const path of ['mine/unet/model', 'mine/unet', 'other.mlpackage', 'onnx/other'])
    await forgetProvenance(at('out', path));
  expect(readFileSync(at('out/sdconvert.json'), 'utf8')).toBe(text);
  await forgetProvenance(at('out', 'unet.mlpackage'));
  expect(await recorded()).toEqual({});
});

test.each(['../../etc', '/etc', 'onnx/../../x', 'a\\..\\b'])(
  'a record of paths that lead out, such as %s, is none of ours',
  async (path) => {
    writeFileSync(
      at('out/sdconvert.json'),
      JSON.stringify({ sdconvert: '0.0.1', artifacts: { [path]: record('passwd') } }),
    );
    expect(await rejectionOf(readProvenance(output()))).toBeInstanceOf(FileFormatError);
  },
);

test('what a folder is the whole result of is forgotten with the next change, whatever it is', async () => {
  const item = {
    id: 'ab',
    quality: { reference: 'float32', psnr: { 'onnx/unet': 70.25, 'onnx/vae': 'Infinity' as const } },
  };
  touch('onnx/config.json');
  for (const change of [
    () => updateProvenance(output(), { gone: ['onnx/unet'] }),
    () => updateProvenance(output(), { pending: ['onnx/vae'] }),
    () => recordBundle(output(), 'onnx', [file('config.json')]),
  ]) {
    await updateProvenance(output(), { item });
    expect((await readProvenance(output()))?.item).toEqual(item);
    await change();
    expect((await readProvenance(output()))?.item).toBeUndefined();
  }
});

test.each(['', '.', './onnx', 'onnx/../..', '/onnx', 'onnx//unet', 'C:/onnx', 'a\\b', 'a\0b'])(
  'a record that names %j is refused: --force would remove what lies there',
  async (path) => {
    writeFileSync(
      at('out/sdconvert.json'),
      JSON.stringify({ sdconvert: '0', artifacts: { [path]: record() } }),
    );
    expect(await rejectionOf(readProvenance(output()))).toBeInstanceOf(FileFormatError);
  },
);

test('what is about to be written is pending, and on record no more, until it is recorded or removed', async () => {
  await updateProvenance(output(), { written: { Resources: record('Unet.mlmodelc/a', 'vocab.json') } });
  await recordBegun(at('out/Resources/Unet.mlmodelc'));
  await recordBegun(at('out/Resources/VAEDecoder.mlmodelc'));
  await recordBegun(at('elsewhere/Resources/Unet.mlmodelc'));
  const begun = await readProvenance(output());
  expect(begun?.pending).toEqual(['Resources/Unet.mlmodelc', 'Resources/VAEDecoder.mlmodelc']);
  expect(begun?.artifacts.Resources?.files.map(({ name }) => name)).toEqual(['vocab.json']);
  touch('Resources/Unet.mlmodelc/a');
  await recordBundle(output(), 'Resources', [file('Unet.mlmodelc/a')]);
  expect((await readProvenance(output()))?.pending).toEqual(['Resources/VAEDecoder.mlmodelc']);
  await forgetProvenance(at('out/Resources/VAEDecoder.mlmodelc'));
  expect((await readProvenance(output()))?.pending).toBeUndefined();
  expect(existsSync(at('elsewhere'))).toBe(false);
});

test('a record is parsed once for as long as it says the same', async () => {
  const write = (sdconvert: string) =>
    writeFileSync(at('out/sdconvert.json'), JSON.stringify({ sdconvert, artifacts: {} }));
  write('0.0.1');
  const first = await readProvenance(output());
  expect(await readProvenance(output())).toBe(first);
  write('0.0.2'); // of the same size, and at the same time for a coarse clock
  expect((await readProvenance(output()))?.sdconvert).toBe('0.0.2');
});

test.each([{ mean: [0, 0, 0, 0] }, { std: [1, 1, 1, 1] }, { mean: [0, 0, 0, 0], std: [1] }])(
  'a record with statistics of latents that are no pair is refused: %j',
  async (statistics) => {
    const pipeline = { latentScale: { factor: 0.5, shift: 0, ...statistics } };
    writeFileSync(at('out/sdconvert.json'), JSON.stringify({ sdconvert: '0.0.1', artifacts: {}, pipeline }));
    const error = await rejectionOf(readProvenance(output()));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.details['pipeline.latentScale.std']).toContain('expected as many numbers as mean has');
  },
);

test.each([
  ['pending', { pending: Array.from({ length: 1001 }, (_, at) => `onnx/${at}`) }],
  [
    'artifacts',
    { artifacts: Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [`onnx/${at}`, record()])) },
  ],
])('a record with more %s than a conversion has is refused', async (key, part) => {
  const text = JSON.stringify({ sdconvert: '0.0.1', artifacts: {}, ...part });
  writeFileSync(at('out/sdconvert.json'), text);
  const error = await rejectionOf(readProvenance(output()));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toContain('is not as sdconvert writes it');
  expect(JSON.stringify(error.details)).toContain('at most 1000 entries');
  expect(JSON.stringify(error.details)).toContain(key);
});

test('a record that no later run could read is not written', async () => {
  // What sdconvert writes is indented, and so longer than this.
  const options = { of: Array.from({ length: 400_000 }, () => 0) };
  const text = JSON.stringify({ sdconvert: '0.0.1', artifacts: { onnx: { ...record(), options } } });
  writeFileSync(at('out/sdconvert.json'), text);
  const error = await rejectionOf(updateProvenance(output(), { pending: ['onnx/unet'] }));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toContain('would list more than can be read again');
  expect(readFileSync(at('out/sdconvert.json'), 'utf8')).toBe(text);
});
