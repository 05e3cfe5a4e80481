import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import type { Context, ProgressEvent } from '../../src/context.ts';
import { batch, type ItemResult } from '../../src/fleet/batch.ts';
import { lockOutput } from '../../src/io/disk.ts';
import { repository } from '../support/hub-checkpoint.ts';
import { filesBelow, hubFixture } from '../support/hub-fixture.ts';
import { filesIn } from '../support/sd-shapes.ts';
import { makeSeededCheckpoint } from '../support/seeded-checkpoint.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { writeXlCheckpoint } from '../support/xl-checkpoint.ts';

const at = temporaryFolder();
const hub = hubFixture();
const unet = 'unet/diffusion_pytorch_model.safetensors';
const timeout = 240_000;

beforeAll(async () => {
  for (const seed of [1, 2, 3]) await makeSeededCheckpoint(at(`seed-${seed}`), seed);
}, timeout);

/** Runs a batch of this manifest; gives the results by item. */
async function run(
  manifest: object,
  more: object = {},
  context: Context = {},
): Promise<Record<string, ItemResult>> {
  writeFileSync(at('batch.json'), JSON.stringify(manifest));
  const { wait: _, ...options } = hub.options;
  const results = await batch({ manifest: at('batch.json'), jobs: 2, hub: options, ...more }, context);
  return Object.fromEntries(results.map((result) => [result.item, result]));
}

const variants = { float16: { floor: 40 }, palette: { bits: 4, floor: 5 } };
const options = { targets: ['onnx'], models: ['unet', 'vae_decoder'] };

describe('a batch with faults in it', () => {
  const manifest = {
    output: 'faults',
    options,
    variants: { ...variants, strict: { bits: 1, floor: 60 } },
    sources: [
      { source: 'seed-1', variants: ['float16', 'palette'] },
      { source: 'truncated', variants: ['float16', 'palette'] },
      { source: 'seed-2', variants: ['strict', 'float16'] },
      { source: 'seed-3', variants: ['float16'], sha256: { [unet]: '0'.repeat(64) } },
    ],
  };

  test('every good item is done and measured, every bad one is named', { timeout }, async () => {
    cpSync(at('seed-3'), at('truncated'), { recursive: true });
    truncateSync(at('truncated', unet), 50_000);
    const results = await run(manifest);
    expect(Object.keys(results)).toHaveLength(7);
    for (const item of ['seed-1/float16', 'seed-1/palette', 'seed-2/float16']) {
      expect(results[item]).toMatchObject({
        verdict: 'pass',
        reused: false,
        psnr: expect.any(Number),
        notes: [expect.stringContaining('BK-SDM')],
      });
      expect(results[item]?.bytes).toBeGreaterThan(1e5);
      expect(results[item]?.memoryBytes).toBeGreaterThan(5e7);
    }
    expect(results['seed-2/strict']).toMatchObject({ verdict: 'below the floor', floor: 60 });
    for (const item of ['truncated/float16', 'truncated/palette']) {
      expect(results[item]).toMatchObject({ verdict: 'failed', error: { name: 'FileFormatError' } });
      expect(results[item]?.error?.problem).toContain(at('truncated', unet));
    }
    expect(results['seed-3/float16']?.error?.problem).toMatch(
      /seed-3.*is not the file that the manifest means/,
    );
    expect(filesBelow(at('faults')).filter((path) => path.includes('.sdc-'))).toEqual([]);
  });

  test('a second run does nothing, and judges again', { timeout }, async () => {
    const before = readFileSync(at('faults/seed-1/palette/sdconvert.json'), 'utf8');
    const start = performance.now();
    const results = await run({
      ...manifest,
      variants: { ...manifest.variants, palette: { bits: 4, floor: 90 } },
      sources: manifest.sources.filter(({ source }) => source === 'seed-1' || source === 'seed-2'),
    });
    expect(performance.now() - start).toBeLessThan(3000);
    for (const result of Object.values(results)) expect(result).toMatchObject({ reused: true, seconds: 0 });
    expect(results['seed-1/palette']?.verdict).toBe('below the floor'); // of another floor
    expect(results['seed-1/float16']?.verdict).toBe('pass');
    expect(readFileSync(at('faults/seed-1/palette/sdconvert.json'), 'utf8')).toBe(before);
  });

  test('what is mended is done by the next run, and nothing else is', { timeout }, async () => {
    cpSync(at('seed-3', unet), at('truncated', unet));
    rmSync(at('faults/seed-1/palette/onnx/unet/model.onnx'));
    const results = await run({ ...manifest, sources: manifest.sources.slice(0, 2) }, { force: true });
    const reused = Object.entries(results).map(([item, result]) => [item, result.reused, result.verdict]);
    expect(reused).toEqual([
      ['seed-1/float16', true, 'pass'],
      ['seed-1/palette', false, 'pass'],
      ['truncated/float16', false, 'pass'],
      ['truncated/palette', false, 'pass'],
    ]);
  });
});

test('results are those of convert, to the byte', { timeout }, async () => {
  await run({ output: 'same', options: { ...options, bits: 4 }, sources: ['seed-1'] });
  const request = { modelVersion: at('seed-1'), targets: ['onnx'], models: ['unet', 'vae_decoder'] } as const;
  await convertCheckpoint({ ...request, output: at('plain'), quantization: { bits: 4 } });
  const [ours, plain] = [filesIn(at('same/seed-1')), filesIn(at('plain'))];
  expect(Object.keys(ours)).toEqual(Object.keys(plain));
  for (const [name, bytes] of Object.entries(plain))
    if (name !== 'sdconvert.json') expect(ours[name], name).toEqual(bytes);
});

test('models of the Hub are downloaded once for all variants, and not asked for again when their commit is the same', {
  timeout,
}, async () => {
  hub.server.repositories.set('org/seeded', repository(filesIn(at('seed-2'))));
  const manifest = {
    output: 'hub',
    options: { ...options, models: ['vae_decoder'] },
    variants,
    sources: ['org/seeded'],
  };
  const first = await run(manifest);
  expect(Object.values(first)).toMatchObject([{ verdict: 'pass' }, { verdict: 'pass' }]);
  hub.server.seen.length = 0;
  const second = await run(manifest);
  expect(Object.values(second)).toMatchObject([{ reused: true }, { reused: true }]);
  expect(hub.fileRequests()).toEqual([]);
});

test('a LoRA is in the reference, too, and other reference models are taken as they are', {
  timeout,
}, async () => {
  await run({ output: 'exact', options: { ...options, precision: 'float32' }, sources: ['seed-1'] });
  const results = await run({
    output: 'compared',
    options: { ...options, reference: 'exact/seed-1', floor: 40 },
    sources: ['seed-1', 'seed-2'],
  });
  expect(results['seed-1']?.verdict).toBe('pass');
  expect(results['seed-2']?.verdict).toBe('below the floor'); // other weights
});

test('results that were made with other options are kept, unless they may be replaced', {
  timeout,
}, async () => {
  const manifest = (bits: number) => ({
    output: 'changed',
    options: { ...options, bits },
    sources: ['seed-1'],
  });
  expect(await run(manifest(8))).toMatchObject({ 'seed-1': { verdict: 'not checked' } });
  const kept = await run(manifest(6));
  expect(kept['seed-1']?.error?.problem).toMatch(/made with other options \(quantization/);
  expect(await run(manifest(8))).toMatchObject({ 'seed-1': { reused: true } });
  expect(await run(manifest(6), { force: true })).toMatchObject({ 'seed-1': { reused: false } });
});

test('an item fails where its reference cannot measure all of its models', { timeout }, async () => {
  writeXlCheckpoint(at('xl'));
  const xl = (targets: readonly string[], more: object = {}) => ({
    output: targets.join('-'),
    options: { targets, models: ['unet'], ...more },
    sources: ['xl'],
  });
  await run(xl(['onnx']));
  const results = await run(xl(['onnx', 'coreai'], { reference: 'onnx/xl', floor: 20 }));
  expect(results.xl?.error?.problem).toMatch(
    /CoreAI\/Unet\S* cannot be compared with .*onnx.xl, which arranges/,
  );
});

test('an item that another run is writing is waited for, and not written twice', { timeout }, async () => {
  const manifest = { output: 'busy', options: { ...options, floor: 40 }, sources: ['seed-1', 'seed-2'] };
  const lock = await lockOutput(at('busy/seed-1'));
  const told: string[] = [];
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'progress' && event.what.includes('waiting') && told.push(event.what) === 1)
      void lock.close();
  };
  expect(await run(manifest, {}, { onProgress })).toMatchObject({
    'seed-1': { verdict: 'pass', reused: false },
    'seed-2': { verdict: 'pass', reused: false },
  });
  expect(told[0]).toMatch(/^seed-1: waiting: another run is writing into .*seed-1: process \d+ on /);

  // Two batches at once.
  rmSync(at('busy'), { recursive: true });
  const both = await Promise.all([run(manifest), run(manifest)]);
  for (const each of both)
    expect(each).toMatchObject({ 'seed-1': { verdict: 'pass' }, 'seed-2': { verdict: 'pass' } });
});

test('a folder is the result of one item alone', { timeout }, async () => {
  const manifest = (models: readonly string[]) => ({
    output: 'alone',
    options: { ...options, models },
    sources: ['seed-1'],
  });
  const both = at('alone/seed-1/onnx/unet');
  await run(manifest(['unet', 'vae_decoder']));
  const fewer = await run(manifest(['vae_decoder']));
  expect(fewer['seed-1']?.error?.problem).toMatch(/holds the finished results of another item than seed-1/);
  expect(await run(manifest(['unet', 'vae_decoder']))).toMatchObject({ 'seed-1': { reused: true } });
  expect(await run(manifest(['vae_decoder']), { force: true })).toMatchObject({
    'seed-1': { verdict: 'not checked' },
  });
  expect(existsSync(both)).toBe(false);

  // What no batch has written, too.
  const request = { modelVersion: at('seed-1'), targets: ['onnx'], models: ['unet'] } as const;
  await convertCheckpoint({ ...request, output: at('alone/seed-1') });
  const beside = await run(manifest(['vae_decoder']));
  expect(beside['seed-1']?.error?.problem).toMatch(/also holds what is no part of seed-1: onnx\/unet/);
  expect(existsSync(both)).toBe(true);

  // And what a run began that was interrupted.
  const path = at('alone/seed-1/sdconvert.json');
  const { 'onnx/unet': _, ...artifacts } = JSON.parse(readFileSync(path, 'utf8')).artifacts;
  writeFileSync(
    path,
    JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), artifacts, pending: ['onnx/unet'] }),
  );
  const after = await run(manifest(['vae_decoder']));
  expect(after['seed-1']?.error?.problem).toMatch(/also holds what is no part of seed-1: onnx\/unet/);
  expect(await run(manifest(['vae_decoder']), { force: true })).toMatchObject({
    'seed-1': { verdict: 'not checked' },
  });
  expect(existsSync(both)).toBe(false);
});

/** Whether an ordinary user may mount a small disk here. */
const canMount = (() => {
  try {
    execFileSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=64k tmpfs /mnt'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!canMount)('a full disk fails its item alone', { timeout }, async () => {
  const manifest = { output: 'full', options, sources: ['seed-1', 'seed-2'] };
  writeFileSync(at('full.json'), JSON.stringify(manifest));
  const main = join(import.meta.dirname, '../../cli/main.ts');
  const script = `mkdir -p "$1" && mount -t tmpfs -o size=64k tmpfs "$1" && shift && "$@" || true`;
  const command = [process.execPath, main, 'batch', at('full.json'), '--json'];
  const printed = execFileSync('unshare', ['-rm', 'sh', '-c', script, 'sh', at('full/seed-1'), ...command]);
  const lines = printed
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const results = lines.filter(({ event }) => event === 'result').map(({ result }) => result);
  expect(results).toMatchObject([
    { item: 'seed-1', verdict: 'failed', error: { name: 'DiskSpaceError' } },
    { item: 'seed-2', verdict: 'not checked' },
  ]);
});
