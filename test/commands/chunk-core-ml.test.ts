import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import type { ProgressEvent } from '../../src/context.ts';
import {
  InterruptedError,
  NotFoundError,
  OutputExistsError,
  UnsupportedModelError,
} from '../../src/errors.ts';
import { compileMlPackage } from '../../src/formats/coreml/compiled/compile.ts';
import { writePackage } from '../../src/formats/coreml/package/package.ts';
import { openMlPackage } from '../../src/formats/coreml/package/read-package.ts';
import { layeredModel } from '../formats/onnx/layered-model.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const inFolder = temporaryFolder();

async function writeLayered(...names: string[]): Promise<string> {
  const path = inFolder(...names);
  await writePackage(path, layeredModel(), () => {});
  return path;
}

/** The files below a folder with their bytes, by path. */
function contentsOf(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
  return new Map(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'hex')]));
}

test('a package is cut into packages beside it, and stays as it was', async () => {
  const path = await writeLayered('plain', 'model_unet.mlpackage');
  const before = contentsOf(path);
  const progress: ProgressEvent[] = [];
  const chunks = await chunkArtifact(
    { artifact: `${path}/`, maxChunkBytes: 1e9, force: false },
    { onProgress: (event) => progress.push(event) },
  );
  expect(readdirSync(inFolder('plain'))).toEqual([
    'model_unet.mlpackage',
    'model_unet_chunk1.mlpackage',
    'model_unet_chunk2.mlpackage',
  ]);
  expect(contentsOf(path)).toEqual(before);
  for (const chunk of chunks) {
    const sizes = [...contentsOf(chunk.path).values()].map((hex) => hex.length / 2);
    expect(chunk.byteLength).toBe(sizes.reduce((sum, size) => sum + size, 0));
    const opened = await openMlPackage(chunk.path);
    await opened.close();
  }
  const total = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(progress.filter(({ type }) => type === 'progress').at(-1)).toEqual({
    type: 'progress',
    stage: 'chunk',
    what: 'model_unet_chunk2.mlpackage',
    unit: 'bytes',
    done: total,
    total,
  });
  expect(progress.filter(({ type }) => type === 'note')).toEqual([]);
});

test('the same package gives the same chunks, byte for byte', async () => {
  const cut = await Promise.all(
    ['one', 'two'].map(async (folder) => {
      const artifact = await writeLayered(folder, 'unet.mlpackage');
      const chunks = await chunkArtifact({ artifact, maxChunkBytes: 1e9, force: false });
      return chunks.map(({ path }) => contentsOf(path));
    }),
  );
  expect(cut[0]).toEqual(cut[1]);
});

test('chunks that are there are kept, or with force replaced, those of a longer chain too', async () => {
  const artifact = await writeLayered('forced', 'unet.mlpackage');
  const notes: string[] = [];
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'note') notes.push(event.message);
  };
  await chunkArtifact({ artifact, maxChunkBytes: 1000, force: false }, { onProgress });
  expect(readdirSync(inFolder('forced'))).toHaveLength(5);
  expect(notes).toEqual([
    expect.stringMatching(/^two chunks cannot each stay under 1\.0 kB, so there are 4; /),
  ]);
  const before = contentsOf(inFolder('forced'));
  const error = await rejectionOf(chunkArtifact({ artifact, maxChunkBytes: 1e9, force: false }));
  expect(error).toBeInstanceOf(OutputExistsError);
  expect(error.problem).toBe(`${inFolder('forced', 'unet_chunk1.mlpackage')} already exists.`);
  expect(contentsOf(inFolder('forced'))).toEqual(before);
  const chunks = await chunkArtifact({ artifact, maxChunkBytes: 1e9, force: true });
  expect(readdirSync(inFolder('forced'))).toEqual([
    'unet.mlpackage',
    ...chunks.map(({ path }) => basename(path)),
  ]);
});

test('work that is interrupted leaves no half chunk behind', async () => {
  const artifact = await writeLayered('interrupted', 'unet.mlpackage');
  const controller = new AbortController();
  const onProgress = ({ type }: ProgressEvent) => {
    if (type === 'progress') controller.abort();
  };
  const { signal } = controller;
  const work = chunkArtifact({ artifact, maxChunkBytes: 1e9, force: false }, { onProgress, signal });
  expect(await rejectionOf(work)).toBeInstanceOf(InterruptedError);
  expect(readdirSync(inFolder('interrupted'))).toEqual(['unet.mlpackage']);
});

test('a compiled model is cut into packages, the same as of the package it was made of', async () => {
  const artifact = await writeLayered('compiled', 'Unet.mlpackage');
  await compileMlPackage(artifact, inFolder('compiled', 'bundle', 'Unet.mlmodelc'));
  const ofPackage = await chunkArtifact({ artifact, maxChunkBytes: 1e9, force: false });
  const bundle = inFolder('compiled', 'bundle', 'Unet.mlmodelc');
  const ofBundle = await chunkArtifact({ artifact: bundle, maxChunkBytes: 1e9, force: false });
  expect(ofBundle.map(({ path }) => basename(path))).toEqual([
    'Unet_chunk1.mlpackage',
    'Unet_chunk2.mlpackage',
  ]);
  const weights = (path: string) =>
    readFileSync(join(path, 'Data/com.apple.CoreML/weights/weight.bin'), 'hex');
  expect(ofBundle.map(({ path }) => weights(path))).toEqual(ofPackage.map(({ path }) => weights(path)));
});

test('what is no model is refused, and nothing is written', async () => {
  const missing = await rejectionOf(
    chunkArtifact({ artifact: inFolder('missing.mlpackage'), maxChunkBytes: 1e9, force: false }),
  );
  expect(missing).toBeInstanceOf(NotFoundError);
  expect(existsSync(inFolder('missing_chunk1.mlpackage'))).toBe(false);
  const folder = await rejectionOf(
    chunkArtifact({ artifact: inFolder('.'), maxChunkBytes: 1e9, force: false }),
  );
  expect(folder).toBeInstanceOf(UnsupportedModelError);
  expect(folder.problem).toContain('is not a model that can be opened.');
});
