import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { smallFeeds } from '../../test/quantize/small-network.ts';
import { repository } from '../../test/support/hub-checkpoint.ts';
import { makeRandomWeights } from '../../test/support/random-weights.ts';
import type { Files } from '../format.ts';
import { onnxSeeds, packageSeeds } from '../formats/artifact-seeds.ts';
import { inProject } from '../formats/seeds.ts';
import { layOut } from '../judge.ts';

/** A command that writes, and what is there before. Paths are relative to the folder that it runs in. */
export interface Scenario {
  readonly name: string;
  /** Makes what is there before; gives nothing. `sdconvert` runs a command of its own. */
  prepare(folder: string, sdconvert: (...args: string[]) => Promise<void>): Promise<void>;
  readonly args: readonly string[];
  /** Artifacts that appear together: all old or all new, whenever it is killed; chunks when left out. */
  readonly together?: RegExp;
  /** Files that tell of the time that passed, or of the places of files: their bytes differ in each run. */
  readonly varies?: RegExp;
  /** The program, by its name, of the process that the command starts for its work, and that is killed instead of it. */
  readonly inside?: string;
  /** What must have been built: it is left out where this is missing. */
  readonly needs?: string;
  /** Left out of short hunts, unless it is named. */
  readonly takesLong?: boolean;
}

const checkpoint = inProject('test/fixtures/tiny-autoencoder');
const convert = ['convert', '--model-version', checkpoint, '-o', 'out', '--latent-h', '8', '--latent-w', '8'];

const unet = inProject('test/fixtures/variants/lcm');
const convertUnet = [
  ...['convert', '--model-version', unet, '-o', 'out', '--convert-unet', '--target', 'onnx'],
];
const inChunks = (size: string): string[] => [...convertUnet, '--chunk-unet', '--max-chunk-size', size];
const anyUnet = /onnx\/unet/;

const draw = ['text-encoder', 'unet', 'vae-decoder'].map((name) => `--convert-${name}`);
/** The one weight that is measured. */
const LARGEST = 'mid_block.resnets.0.conv1.weight';
const toDraw = ['convert', '--model-version', inProject('models/sd-shapes'), '-o', 'out', ...draw];
const convertToDraw = [...toDraw, '--target', 'onnx'];

async function onnxModel(folder: string): Promise<void> {
  layOut(largest(await onnxSeeds()), join(folder, 'unet'));
}

async function mlPackage(folder: string, name = 'x_unet.mlpackage'): Promise<void> {
  layOut(largest(await packageSeeds()), join(folder, name));
}

/** The one with unquantised weights: chunks and palettes need some. */
function largest(seeds: readonly Files[]): Files {
  const [first] = seeds.toSorted((a, b) => totalBytes(b) - totalBytes(a));
  if (!first) throw new Error('there are no seeds');
  return first;
}

function totalBytes(files: Files): number {
  return [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
}

/** A batch of one item, which nothing is measured of. */
async function manifest(folder: string): Promise<void> {
  await makeRandomWeights();
  const options = { targets: ['onnx'], sizes: { latentHeight: 8, latentWidth: 8 } };
  const text = JSON.stringify({ output: 'out', options, sources: [checkpoint] });
  writeFileSync(join(folder, 'batch.json'), text);
}

/** Hashes that a batch remembers, by the paths and inodes of files. */
const hashes = /\.sdconvert-hashes\.json$/;

export const scenarios: readonly Scenario[] = [
  {
    name: 'convert',
    prepare: () => makeRandomWeights(),
    args: convert,
  },
  {
    name: 'convert --force',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--precision', 'float32');
    },
    args: [...convert, '--force'],
  },
  {
    name: 'convert --chunk-unet',
    prepare: () => makeRandomWeights(),
    args: inChunks('500kB'),
  },
  {
    name: 'convert --chunk-unet --force',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convertUnet);
    },
    args: [...inChunks('500kB'), '--force'],
    together: anyUnet,
  },
  {
    name: 'convert --max-chunk-size --force',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...inChunks('300kB'));
    },
    args: [...inChunks('500kB'), '--force'],
    together: anyUnet,
  },
  { name: 'quantize -o', prepare: onnxModel, args: ['quantize', 'unet', '--nbits', '4', '-o', 'small'] },
  {
    name: 'quantize --in-place',
    prepare: (folder) => mlPackage(folder),
    args: ['quantize', 'x_unet.mlpackage', '--nbits', '4', '--in-place'],
  },
  { name: 'chunk', prepare: onnxModel, args: ['chunk', 'unet', '--max-chunk-size', '30kB'] },
  {
    name: 'chunk --force',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convertUnet);
      await sdconvert('chunk', 'out/onnx/unet', '--max-chunk-size', '300kB');
    },
    args: ['chunk', 'out/onnx/unet', '--max-chunk-size', '500kB', '--force'],
  },
  {
    name: 'chunk --remove-original',
    prepare: (folder) => mlPackage(folder),
    args: ['chunk', 'x_unet.mlpackage', '--max-chunk-size', '30kB', '--remove-original'],
  },
  {
    name: 'compile',
    async prepare(folder, sdconvert) {
      await mlPackage(folder);
      await sdconvert('compile', 'x_unet.mlpackage');
      await mlPackage(folder, 'other_unet.mlpackage');
    },
    args: ['compile', 'other_unet.mlpackage', '-o', 'x_unet.mlmodelc', '--force'],
  },
  {
    name: 'bundle',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--target', 'coreml', '--no-bundle');
    },
    args: ['bundle', 'out'],
  },
  {
    name: 'bundle --for openvino',
    prepare: (_, sdconvert) => sdconvert(...convertToDraw),
    args: ['bundle', 'out', '--for', 'openvino'],
  },
  {
    name: 'bundle --for guernika',
    prepare: (_, sdconvert) => sdconvert(...toDraw, '--target', 'coreml', '--no-bundle'),
    args: ['bundle', 'out', '--for', 'guernika'],
    takesLong: true,
  },
  {
    name: 'report',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--target', 'onnx');
    },
    args: ['report', 'out'],
    varies: /report\.(html|json)$/,
  },
  {
    name: 'batch',
    prepare: manifest,
    args: ['batch', 'batch.json'],
    varies: hashes,
  },
  {
    name: 'batch item',
    prepare: manifest,
    args: ['batch', 'batch.json'],
    varies: hashes,
    inside: 'run-item-worker',
    takesLong: true,
  },
  {
    name: 'run',
    async prepare(folder) {
      await onnxModel(folder);
      const tensors = Object.entries(smallFeeds).map(([name, feed]) => ({ name, ...feed }));
      await writeSafetensors(join(folder, 'in.safetensors'), tensors);
      await writeSafetensors(join(folder, 'results.safetensors'), tensors); // an older recording
    },
    args: ['run', 'unet', '--inputs', 'in.safetensors', '--outputs', 'results.safetensors'],
  },
  {
    name: 'generate',
    prepare: (_, sdconvert) => sdconvert(...convertToDraw),
    args: [
      'generate',
      'a red circle',
      '-i',
      'out',
      '-o',
      'pictures',
      '--num-inference-steps',
      '1',
      '--seed',
      '0',
    ],
  },
  {
    name: 'web --force',
    async prepare(_, sdconvert) {
      await sdconvert(...convertToDraw);
      await sdconvert('web', 'out', '--no-demo');
      await sdconvert(...convertToDraw, '--quantize-nbits', '8', '--force');
    },
    args: ['web', 'out', '--no-demo', '--force'],
    together: /out\/web\//,
    needs: inProject('dist/page'),
  },
  {
    name: 'analyze',
    async prepare(_, sdconvert) {
      await sdconvert(...convertToDraw);
      const most = ['--nbits', '8', '--mode', 'linear-symmetric', '--skip-weights', LARGEST];
      await sdconvert('quantize', 'out/onnx/unet', ...most, '--in-place');
    },
    args: ['analyze', 'out/onnx/unet', '--prompt', 'a red circle'],
    takesLong: true,
  },
  {
    name: 'download',
    async prepare(folder) {
      mkdirSync(join(folder, 'cache'));
    },
    args: ['download', 'org/model', '-o', 'model', '--cache-dir', 'cache'],
  },
];

/** What the Hub of `download` has. */
export const hubRepositories = new Map([
  [
    'org/model',
    repository({
      'model_index.json': json({
        _class_name: 'StableDiffusionPipeline',
        vae: ['diffusers', 'AutoencoderKL'],
      }),
      'vae/config.json': json({ latent_channels: 4 }),
      'vae/diffusion_pytorch_model.safetensors': new Uint8Array(5000).fill(7),
    }),
  ],
]);

function json(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A copy of what a scenario begins with. */
export function copyOf(prepared: string, folder: string): string {
  cpSync(prepared, folder, { recursive: true, verbatimSymlinks: true });
  return folder;
}
