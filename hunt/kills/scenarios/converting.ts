import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeRandomWeights } from '../../../test/support/random-weights.ts';
import { inProject } from '../../formats/seeds.ts';
import { autoencoder, convert, reports, type Scenario } from './scenario.ts';

const unet = inProject('test/fixtures/variants/lcm');
export const convertUnet = [
  ...['convert', '--model-version', unet, '-o', 'out', '--convert-unet', '--target', 'onnx'],
];
const inChunks = (size: string): string[] => [...convertUnet, '--chunk-unet', '--max-chunk-size', size];
/** The whole model and its chunks, which replace it. */
const anyUnet = /onnx\/unet/;

/** Of `convert`. */
export const converting: readonly Scenario[] = [
  {
    name: 'convert',
    prepare: () => makeRandomWeights(),
    args: convert,
  },
  {
    name: 'convert --force',
    bySystem: true,
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
  {
    name: 'convert --target coreai',
    prepare: () => makeRandomWeights(),
    args: [...convert, '--target', 'coreai'],
  },
  {
    name: 'convert --target coreai --force',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--target', 'coreai', '--precision', 'float32');
    },
    args: [...convert, '--target', 'coreai', '--force'],
  },
  {
    name: 'convert to a second target',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--target', 'onnx');
    },
    args: [...convert, '--target', 'coreml'],
  },
  {
    name: 'convert --force of another checkpoint',
    isRemovedFirst: true, // two checkpoints in one folder would be loaded as one
    async prepare(folder, sdconvert) {
      await makeRandomWeights();
      const other = join(folder, 'other');
      cpSync(autoencoder, other, { recursive: true });
      changeWeights(join(other, 'vae', 'diffusion_pytorch_model.safetensors'));
      const converted = convert.map((arg) => (arg === autoencoder ? other : arg));
      await sdconvert(...converted, '--for', 'optimum,openvino,swift,comfyui');
    },
    args: [...convert, '--target', 'onnx', '--convert-vae-decoder', '--force'],
  },
  {
    name: 'convert --for two clients',
    prepare: () => makeRandomWeights(),
    args: [...convert, '--for', 'optimum,openvino'],
  },
  {
    name: 'convert --for guernika',
    prepare: () => makeRandomWeights(),
    args: [...convert, '--for', 'guernika'],
  },
  {
    name: 'convert --report',
    prepare: () => makeRandomWeights(),
    args: [...convert, '--target', 'onnx', '--report'],
    varies: reports,
  },
  {
    name: 'convert --check-output-correctness',
    prepare: () => makeRandomWeights(),
    args: [...convert, '--target', 'coreml', '--check-output-correctness'],
  },
  {
    name: 'convert --convert-controlnet',
    prepare: () => makeRandomWeights(),
    args: [
      ...['convert', '--model-version', unet, '-o', 'out', '--target', 'onnx', '--unet-support-controlnet'],
      ...['--convert-unet', '--convert-controlnet', inProject('test/fixtures/drawing/controlnet')],
    ],
    takesLong: true,
  },
  {
    name: 'convert from the Hub',
    async prepare(folder) {
      await makeRandomWeights();
      mkdirSync(join(folder, 'cache'));
    },
    args: [
      ...['convert', '--model-version', 'org/tiny', '-o', 'out', '--target', 'onnx', '--cache-dir', 'cache'],
      ...['--latent-h', '8', '--latent-w', '8'],
    ],
  },
];

/** Changes the lowest bits of all weights of a file a little: a checkpoint is known by them, and by no config. */
function changeWeights(path: string): void {
  const bytes = readFileSync(path);
  for (let at = 8 + Number(bytes.readBigUInt64LE()); at < bytes.length; at += 4)
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}
