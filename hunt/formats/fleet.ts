import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IdentifiedItem } from '../../src/fleet/item.ts';
import { KnownHashes } from '../../src/fleet/known-hashes.ts';
import { jobTitle, readStepJob, versionOfJob } from '../../src/fleet/queue/read-step-job.ts';
import { placeOf } from '../../src/fleet/queue/step-job.ts';
import type { Store } from '../../src/fleet/store/store.ts';
import { storedResult } from '../../src/fleet/store/stored-result.ts';
import { lowest } from '../../src/fleet/verdict.ts';
import type { Format } from '../format.ts';
import { jsonMutators } from '../mutate-json.ts';
import { attempts } from './attempts.ts';
import { bytesOf } from './seeds.ts';

/** What workers take from a queue, a store and their disk. */

const item: IdentifiedItem = {
  name: 'a/b',
  id: 'f00d',
  models: { modelVersion: 'hf://org/name' },
  options: { targets: ['onnx'] },
  output: '/out/a/b',
  reference: 'float32',
  referenceIdentity: 'float32',
  floor: 35,
};

export const queueJobs: Format = {
  name: 'queue jobs',
  seeds: async () => {
    const data = { version: '0.1.0', item, results: '/out', publish: { repo: 'org/name', path: 'a/b' } };
    return [new Map([['job.json', bytesOf(JSON.stringify({ name: 'check', data }))]])];
  },
  parts: [{ files: /./, mutators: jsonMutators }],
  async read(folder) {
    const found = parsed(readFileSync(join(folder, 'job.json'), 'utf8'));
    jobTitle(found);
    await attempts([() => versionOfJob(found), () => placeOf(readStepJob(found).job)]);
  },
};

/** What a queue gives of any text: jobs always have a name. */
function parsed(text: string): { name: string; data: unknown } {
  try {
    const { name, data } = Object(JSON.parse(text));
    return { name: String(JSON.stringify(name) ?? '').replaceAll('"', ''), data };
  } catch {
    return { name: 'check', data: text };
  }
}

export const storedResults: Format = {
  name: 'stored results',
  seeds: async () => {
    const files = [{ name: 'model.onnx', byteLength: 5, sha256: 'ab' }];
    const quality = { reference: 'float32', psnr: { 'onnx/unet': 40.5 } };
    const artifacts = { 'onnx/unet': { source: {}, options: {}, files } };
    const record = { sdconvert: '0.1.0', item: { id: 'f00d', quality }, artifacts };
    return [new Map([['record.json', bytesOf(JSON.stringify(record))]])];
  },
  parts: [{ files: /./, mutators: jsonMutators }],
  async read(folder) {
    const store: Pick<Store, 'address' | 'recordOf'> = {
      address: 's3://models',
      recordOf: async () => readFileSync(join(folder, 'record.json'), 'utf8'),
    };
    lowest((await storedResult(store, item))?.quality);
  },
};

export const knownHashes: Format = {
  name: 'known hashes',
  seeds: async () => [
    new Map([
      ['hashes.json', bytesOf(JSON.stringify({ '/models/a': ['1 2 3', 'ab'], '/models/b': ['4', 'cd'] }))],
      ['a', bytesOf('a')],
    ]),
  ],
  parts: [{ files: /json$/, mutators: jsonMutators }],
  async read(folder) {
    const hashes = await KnownHashes.open(join(folder, 'hashes.json'));
    await hashes.of(join(folder, 'a'));
    await hashes.save();
  },
};
