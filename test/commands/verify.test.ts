import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { resolveModel } from '../../src/checkpoint/from-hub/resolve-model.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { verify } from '../../src/commands/verify.ts';
import { isIntact } from '../../src/formats/kept.ts';
import { type Provenance, readProvenance, updateProvenance } from '../../src/formats/provenance.ts';
import { cachedRepository } from '../../src/hub/hub-cache.ts';
import { hashFile } from '../../src/io/hashing/hash-file.ts';
import { fileTraffic } from '../../src/io/traffic.ts';
import { checkpointFiles, repository } from '../support/hub-checkpoint.ts';
import { hubFixture } from '../support/hub-fixture.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const temporary = temporaryFolder();
const hub = hubFixture();

function hashed(text: string) {
  return { byteLength: text.length, sha256: createHash('sha256').update(text).digest('hex') };
}

async function requireRecord(output: string): Promise<Provenance> {
  const record = await readProvenance(output);
  if (!record) throw new Error(`${output} has no record`);
  return record;
}

function flip(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

describe('a conversion', () => {
  let output: string;
  beforeAll(async () => {
    output = temporary('out');
    const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
    await convertCheckpoint({ modelVersion, output, models: ['vae_encoder'] });
  });

  test('is what was written, bundles included, and says how much was compared', async () => {
    const progress: number[] = [];
    const result = await verify(
      { path: output },
      { onProgress: (event) => void (event.type === 'progress' && progress.push(event.done)) },
    );
    expect(result.problems).toEqual([]);
    expect(result.files).toBeGreaterThan(10);
    expect(progress.at(-1)).toBe(result.bytes);
    expect(await verify({ path: output, clients: [] })).toEqual(result);
  });

  test('names JSON that other runtimes refuse, though it is what was written', async () => {
    const scheduler = join(output, 'onnx/scheduler/scheduler_config.json');
    const [before, text] = [
      readFileSync(join(output, 'sdconvert.json')),
      '{"lambda_min_clipped": -Infinity}',
    ];
    const original = readFileSync(scheduler);
    writeFileSync(scheduler, text);
    const file = { name: 'scheduler/scheduler_config.json', ...hashed(text) };
    await updateProvenance(output, { written: { onnx: { source: {}, options: {}, files: [file] } } });
    const { problems } = await verify({ path: output });
    expect(problems).toEqual([
      expect.stringContaining('onnx/scheduler/scheduler_config.json is not strict JSON'),
    ]);
    writeFileSync(scheduler, original);
    writeFileSync(join(output, 'sdconvert.json'), before);
  });

  test('is not right where a run that was killed left models out', async () => {
    const record = readFileSync(join(output, 'sdconvert.json'));
    await updateProvenance(output, { pending: ['onnx/unet'] });
    const sentence = 'onnx/unet is unfinished: the run that was to write it has ended.';
    expect((await verify({ path: output })).problems).toEqual([sentence]);
    expect(await inspect({ path: output })).toMatchObject({ problems: [sentence] });
    writeFileSync(join(output, 'sdconvert.json'), record);
  });

  test('is read once, however often its record lists a file', async () => {
    const path = join(output, 'sdconvert.json');
    const before = readFileSync(path);
    const record = JSON.parse(before.toString());
    const { files } = record.artifacts['onnx/vae_encoder'];
    record.artifacts['onnx/vae_encoder'].files = Array.from({ length: 500 }, () => files).flat();
    writeFileSync(path, JSON.stringify(record));
    utimesSync(path, 1, 1); // so that all is newer
    const inOutput = statSync(join(output, 'onnx/vae_encoder/model.onnx_data')).size;
    const traffic = fileTraffic().read;
    expect((await verify({ path: output })).problems).toEqual([]);
    expect(await inspect({ path: output })).toMatchObject({ kind: 'artifacts', problems: [] });
    expect(await isIntact(output, await requireRecord(output), (file) => hashFile(file))).toBe(true);
    expect(fileTraffic().read - traffic).toBeLessThan(20 * inOutput);
    writeFileSync(path, before);
  });

  test('names every file that is not', async () => {
    flip(join(output, 'onnx/vae_encoder/model.onnx_data'));
    flip(join(output, 'Resources/VAEEncoder.mlmodelc/model.mil'));
    appendFileSync(join(output, 'onnx/vae_encoder/model.onnx'), 'x');
    rmSync(join(output, 'onnx/model_index.json'));
    const { problems } = await verify({ path: output });
    expect(problems.toSorted()).toEqual([
      'Resources/VAEEncoder.mlmodelc/model.mil has changed since it was written.',
      'onnx/model_index.json is missing.',
      expect.stringMatching(/^onnx\/vae_encoder\/model\.onnx has \d+ bytes, but \d+ were written\.$/),
      'onnx/vae_encoder/model.onnx_data has changed since it was written.',
    ]);
  });
});

describe('what the Hub’s cache has of a repository', () => {
  test('is held against the hashes that its contents are called by', async () => {
    hub.server.repositories.set('org/model', repository(checkpointFiles));
    const { files } = await resolveModel('org/model', hub.options);
    const request = { path: 'org/model', hub: hub.options };
    expect(await verify(request)).toMatchObject({ problems: [] });
    const folder = cachedRepository(hub.options.cacheDir, 'org/model');
    expect((await verify({ path: folder })).files).toBeGreaterThan(0);
    const snapshot = (await resolveModel('org/model', hub.options)).path;
    flip(join(snapshot, files[0]?.name ?? ''));
    const { problems } = await verify(request);
    expect(problems).toEqual([expect.stringMatching(/^blobs\/[\da-f]+ has changed since it was written\.$/)]);
  });
});

test('a folder without a record is refused, with what to name', async () => {
  await expect(verify({ path: temporary() })).rejects.toThrow('it has no sdconvert.json');
  await expect(verify({ path: temporary('nowhere') })).rejects.toThrow('does not exist');
});
