import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { type ChunkRequest, chunkArtifact } from '../../src/commands/chunk.ts';
import type { Context, ProgressEvent } from '../../src/context.ts';
import {
  ChunkBudgetError,
  InterruptedError,
  NotFoundError,
  OutputExistsError,
  RequestError,
  UnsupportedModelError,
} from '../../src/errors.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import { mul } from '../../src/graph/functions.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import { memoryWeight } from '../support/memory-weight.ts';
import { scattered } from '../support/scattered.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const inFolder = temporaryFolder();
const type = { dtype: 'f32', shape: [10_000] } as const;

// Six weights of 40 kB, one after another.
beforeEach(async () => {
  await rm(inFolder(), { recursive: true, force: true });
  const builder = new GraphBuilder();
  let y: Tensor = builder.input('x', type);
  for (let i = 0; i < 6; i++)
    y = mul(y, builder.weight(memoryWeight(`w${i}`, [10_000], scattered(10_000, i)), type));
  await writeOnnx(buildOnnxModel(builder.finish([{ name: 'y', tensor: y }]), {}), inFolder('unet'), () => {});
  writeFileSync(inFolder('unet', 'config.json'), '{ "in_channels": 4 }');
});

test('chunks appear beside the model with its config, and the model stays as it was', async () => {
  const before = readFileSync(inFolder('unet', 'model.onnx_data'));
  const chunks = await cut(150_000);
  expect(chunks.map(({ path }) => basename(path))).toEqual(['unet_chunk1', 'unet_chunk2']);
  expect(readdirSync(inFolder())).toEqual(['unet', 'unet_chunk1', 'unet_chunk2']);
  for (const { path, byteLength } of chunks) {
    const files = ['model.onnx', 'model.onnx_data'];
    expect(readdirSync(path)).toEqual(['config.json', ...files]);
    expect(readFileSync(`${path}/config.json`, 'utf8')).toBe('{ "in_channels": 4 }');
    expect(byteLength).toBe(files.reduce((sum, file) => sum + statSync(`${path}/${file}`).size, 0));
    expect(statSync(`${path}/model.onnx_data`).size).toBeLessThanOrEqual(150_000);
  }
  expect(readFileSync(inFolder('unet', 'model.onnx_data')).equals(before)).toBe(true);
});

test('a model is named by its folder, with or without a slash, or by its file', async () => {
  for (const artifact of [
    inFolder('unet'),
    `${inFolder('unet')}/`,
    inFolder('unet', 'model.onnx'),
    `${inFolder('unet')}/.`,
  ]) {
    const chunks = await cut(150_000, { artifact, force: true });
    expect(chunks.map(({ path }) => basename(path))).toEqual(['unet_chunk1', 'unet_chunk2']);
  }
  expect(readdirSync(inFolder())).toEqual(['unet', 'unet_chunk1', 'unet_chunk2']);
});

test('a chunk is not cut again, whatever it is called', async () => {
  const [first] = await cut(150_000);
  const again = await rejectionOf(cut(50_000, { artifact: first?.path ?? '' }));
  expect(again).toBeInstanceOf(RequestError);
  expect(again.problem).toBe(`${first?.path} is already a chunk.`);
  await rename(first?.path ?? '', inFolder('renamed'));
  const renamed = await rejectionOf(cut(50_000, { artifact: inFolder('renamed') }));
  expect(renamed.problem).toBe(`${inFolder('renamed')} is already a chunk.`);
});

test('chunks that are there are replaced only where that is asked for', async () => {
  await cut(150_000);
  writeFileSync(inFolder('unet_chunk2', 'mine.txt'), 'mine');
  const error = await rejectionOf(cut(150_000));
  expect(error).toBeInstanceOf(OutputExistsError);
  expect(error.problem).toContain('unet_chunk1 already exists');
  expect(existsSync(inFolder('unet_chunk2', 'mine.txt'))).toBe(true);
  await cut(150_000, { force: true });
  expect(existsSync(inFolder('unet_chunk2', 'mine.txt'))).toBe(false);
});

test('--force replaces chunks, never a folder of something else that is called like one', async () => {
  mkdirSync(inFolder('unet_chunk3'));
  writeFileSync(inFolder('unet_chunk3', 'thesis.txt'), 'years of work');
  const error = await rejectionOf(cut(150_000, { force: true }));
  expect(error).toBeInstanceOf(OutputExistsError);
  expect(error.problem).toContain('unet_chunk3 is a folder of something else than a model');
  expect(readdirSync(inFolder())).toEqual(['unet', 'unet_chunk3']);
  expect(readdirSync(inFolder('unet_chunk3'))).toEqual(['thesis.txt']);
});

test('fewer chunks than before leave none of the old ones behind', async () => {
  expect(await cut(50_000)).toHaveLength(6);
  expect(await cut(150_000, { force: true })).toHaveLength(2);
  expect(readdirSync(inFolder())).toEqual(['unet', 'unet_chunk1', 'unet_chunk2']);
});

test('what a cut that was killed left behind is no chain, and is replaced without asking', async () => {
  await cut(50_000);
  await rm(inFolder('unet_chunk1'), { recursive: true });
  expect(await cut(150_000)).toHaveLength(2);
  expect(readdirSync(inFolder())).toEqual(['unet', 'unet_chunk1', 'unet_chunk2']);
});

test('no chunk is there before all are complete, and an earlier cut stays until then', async () => {
  const seen = new Set<string>();
  const onProgress = ({ type }: ProgressEvent) =>
    type === 'progress' && void seen.add(readdirSync(inFolder()).filter(isShown).join());
  await cut(50_000, {}, { onProgress });
  expect([...seen]).toEqual(['unet']);
  const before = readdirSync(inFolder());
  const stop = new AbortController();
  const interrupted = cut(
    150_000,
    { force: true },
    {
      signal: stop.signal,
      onProgress: (event) => {
        if (event.type === 'progress' && event.what === 'unet_chunk2') stop.abort();
      },
    },
  );
  expect(await rejectionOf(interrupted)).toBeInstanceOf(InterruptedError);
  expect(readdirSync(inFolder())).toEqual(before);
});

test('chunks go into another folder, and the model goes when that is asked for', async () => {
  const chunks = await cut(150_000, { output: inFolder('elsewhere') });
  expect(chunks.map(({ path }) => path)).toEqual(
    ['unet_chunk1', 'unet_chunk2'].map((name) => inFolder('elsewhere', name)),
  );
  expect(readdirSync(inFolder())).toEqual(['elsewhere', 'unet']);
  const error = await rejectionOf(cut(30_000, { removeOriginal: true }));
  expect(error).toBeInstanceOf(ChunkBudgetError);
  expect(existsSync(inFolder('unet', 'model.onnx'))).toBe(true);
  await cut(150_000, { removeOriginal: true });
  expect(readdirSync(inFolder())).toEqual(['elsewhere', 'unet_chunk1', 'unet_chunk2']);
});

test('a run that was killed before it removed the model is finished by the next one, and another cut is refused', async () => {
  await cut(150_000);
  const other = await rejectionOf(cut(100_000, { removeOriginal: true }));
  expect(other).toBeInstanceOf(OutputExistsError);
  await cut(150_000, { removeOriginal: true });
  expect(readdirSync(inFolder())).toEqual(['unet_chunk1', 'unet_chunk2']);
});

/** Stages of what grows are nobody's model. */
function isShown(name: string): boolean {
  return !name.startsWith('.sdc-');
}

test('a budget that cannot be met writes nothing', async () => {
  expect(await rejectionOf(cut(30_000))).toBeInstanceOf(ChunkBudgetError);
  expect(readdirSync(inFolder())).toEqual(['unet']);
});

test('work that is interrupted leaves no half chunk', async () => {
  const stop = new AbortController();
  const context: Context = { signal: stop.signal, onProgress: () => stop.abort() };
  expect(await rejectionOf(cut(150_000, {}, context))).toBeInstanceOf(InterruptedError);
  expect(readdirSync(inFolder())).toEqual(['unet']);
});

test('progress goes up to all of the bytes', async () => {
  const seen: number[] = [];
  const onProgress: Context['onProgress'] = (event) => {
    if (event.type === 'progress') seen.push(event.done / event.total);
  };
  await cut(150_000, {}, { onProgress });
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  expect(seen.at(-1)).toBeGreaterThan(0.95);
  expect(seen.at(-1)).toBeLessThanOrEqual(1);
});

test('what is not there, or no model, is an error that says so', async () => {
  mkdirSync(inFolder('empty'));
  const nowhere = await rejectionOf(cut(1, { artifact: inFolder('nowhere') }));
  expect(nowhere).toBeInstanceOf(NotFoundError);
  expect(nowhere.problem).toBe(`${inFolder('nowhere')} does not exist.`);
  const empty = await rejectionOf(cut(1, { artifact: inFolder('empty') }));
  expect(empty).toBeInstanceOf(UnsupportedModelError);
  expect(empty.problem).toBe(`${inFolder('empty')} is not a model that can be opened.`);
});

function cut(maxChunkBytes: number, request: Partial<ChunkRequest> = {}, context: Context = {}) {
  return chunkArtifact({ artifact: inFolder('unet'), maxChunkBytes, ...request }, context);
}

test('another model’s chunks of the same sizes are not taken for those of an unfinished run', async () => {
  const output = inFolder('chunks');
  await cut(150_000, { output });
  const data = inFolder('chunks/unet_chunk2/model.onnx_data');
  const bytes = readFileSync(data);
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  writeFileSync(data, bytes);
  const error = await rejectionOf(cut(150_000, { output, removeOriginal: true }));
  expect(error).toBeInstanceOf(OutputExistsError);
  expect(readFileSync(data).equals(bytes)).toBe(true);
  expect(existsSync(inFolder('unet'))).toBe(true);
  await cut(150_000, { output, removeOriginal: true, force: true });
  expect(existsSync(inFolder('unet'))).toBe(false);
});
