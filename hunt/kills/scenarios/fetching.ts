import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeRandomWeights } from '../../../test/support/random-weights.ts';
import { inProject } from '../../formats/seeds.ts';
import { weights } from './hub-repositories.ts';
import { autoencoder, type Scenario } from './scenario.ts';

/** A batch of one item, which nothing is measured of. */
export async function manifest(folder: string): Promise<void> {
  await makeRandomWeights();
  const options = { targets: ['onnx'], sizes: { latentHeight: 8, latentWidth: 8 } };
  const text = JSON.stringify({ output: 'out', options, sources: [autoencoder] });
  writeFileSync(join(folder, 'batch.json'), text);
}

/** Hashes that a batch remembers, by the paths and inodes of files. */
export const hashes = /\.sdconvert-hashes\.json$/;

export const download = ['download', 'org/model', '-o', 'model', '--cache-dir', 'cache'];

async function emptyCache(folder: string): Promise<void> {
  mkdirSync(join(folder, 'cache'));
}

/** Of commands that fetch, and of those that do many things. */
export const fetching: readonly Scenario[] = [
  {
    name: 'batch',
    prepare: manifest,
    args: ['batch', 'batch.json'],
    varies: hashes,
  },
  {
    name: 'batch item',
    bySystem: true,
    prepare: manifest,
    args: ['batch', 'batch.json'],
    varies: hashes,
    inside: 'run-item-worker',
    takesLong: true,
  },
  {
    name: 'worker',
    async prepare(folder) {
      await manifest(folder);
      for (const name of ['own', 'store']) mkdirSync(join(folder, name));
    },
    program: inProject('hunt/kills/step-program.ts'),
    args: ['batch.json', 'own', 'store'],
    together: /^store\//,
    grows: /^own\//, // and goes again
  },
  { name: 'batch --init', prepare: async () => {}, args: ['batch', '--init'] },
  {
    name: 'batch --force',
    async prepare(folder, sdconvert) {
      await manifest(folder);
      await sdconvert('batch', 'batch.json');
      const text = readFileSync(join(folder, 'batch.json'), 'utf8');
      writeFileSync(
        join(folder, 'batch.json'),
        text.replace('"options":{', '"options":{"precision":"float32",'),
      );
    },
    args: ['batch', 'batch.json', '--force'],
    varies: hashes,
    inside: 'run-item-worker',
    takesLong: true,
  },
  {
    name: 'download',
    bySystem: true,
    prepare: emptyCache,
    args: download,
  },
  {
    name: 'download into a folder of files',
    async prepare(folder, sdconvert) {
      await emptyCache(folder);
      await sdconvert(...download);
      rmSync(join(folder, 'model', 'vae', 'config.json'));
      writeFileSync(join(folder, 'model', 'own.txt'), 'mine');
    },
    args: download,
  },
  {
    name: 'download of what has begun',
    async prepare(folder) {
      const blobs = join(folder, 'cache', 'models--org--model', 'blobs');
      mkdirSync(blobs, { recursive: true });
      writeFileSync(join(blobs, `${weights.sha256}.incomplete`), weights.bytes.subarray(0, 2000));
    },
    args: download,
  },
  {
    name: 'download of a single file',
    prepare: emptyCache,
    args: [
      'download',
      'org/model/vae/diffusion_pytorch_model.safetensors',
      '-o',
      'model',
      '--cache-dir',
      'cache',
    ],
  },
  {
    name: 'download --variant of packages',
    prepare: emptyCache,
    args: ['download', 'org/packages', '--variant', 'original/packages', '--cache-dir', 'cache'],
  },
];
