import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeSafetensors } from '../../../src/weights/safetensors-writer.ts';
import { smallFeeds } from '../../../test/quantize/small-network.ts';
import { makeRandomWeights } from '../../../test/support/random-weights.ts';
import { inProject } from '../../formats/seeds.ts';
import { autoencoder, convert, lay, modelsThatDraw, reports, type Scenario } from './scenario.ts';

const draw = ['text-encoder', 'unet', 'vae-decoder'].map((name) => `--convert-${name}`);
export const toDraw = ['convert', '--model-version', inProject('models/sd-shapes'), '-o', 'out', ...draw];
export const convertToDraw = [...toDraw, '--target', 'onnx'];

async function feeds(folder: string, name: string): Promise<void> {
  const tensors = Object.entries(smallFeeds).map(([name, feed]) => ({ name, ...feed }));
  await writeSafetensors(join(folder, name), tensors);
}

function generateIn(steps: string): string[] {
  const what = ['generate', 'a red circle', '-i', 'out', '-o', 'pictures'];
  return [...what, '--num-inference-steps', steps, '--seed', '0'];
}

/** Of commands that run models, and that tell what came of it. */
export const running: readonly Scenario[] = [
  {
    name: 'run',
    bySystem: true,
    async prepare(folder) {
      await lay.onnx(folder);
      await feeds(folder, 'in.safetensors');
      await feeds(folder, 'results.safetensors'); // an older recording
    },
    args: ['run', 'unet', '--inputs', 'in.safetensors', '--outputs', 'results.safetensors'],
  },
  {
    name: 'run --record of a package',
    async prepare(folder, sdconvert) {
      await lay.package(folder);
      await sdconvert('quantize', 'x_unet.mlpackage', '--nbits', '4', '--in-place'); // decoded into a temporary file
      await feeds(folder, 'in.safetensors');
    },
    args: ['run', 'x_unet.mlpackage', '--inputs', 'in.safetensors', '--record', 'record.safetensors'],
  },
  {
    name: 'validate --tmp-dir',
    async prepare(folder, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--target', 'coreml', '--no-bundle');
      mkdirSync(join(folder, 'scratch'));
    },
    args: ['validate', 'out', '--reference', autoencoder, '--tmp-dir', 'scratch'],
  },
  {
    name: 'generate',
    prepare: (_, sdconvert) => sdconvert(...convertToDraw),
    args: generateIn('1'),
  },
  {
    name: 'generate over other pictures',
    async prepare(_, sdconvert) {
      await sdconvert(...convertToDraw);
      await sdconvert(...generateIn('2'));
    },
    args: generateIn('1'),
  },
  {
    name: 'generate of several pictures',
    prepare: (folder) => modelsThatDraw(folder),
    args: [...generateIn('2'), ...['--compare-schedulers', 'ddim,euler', '--grid', '--save-every', '1']],
    varies: /\.schedulers\./, // has the times that they took
    takesLong: true,
  },
  {
    name: 'report',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--target', 'onnx');
    },
    args: ['report', 'out'],
    varies: reports,
  },
  {
    name: 'report -o',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--target', 'onnx');
      await sdconvert('report', 'out', '-o', 'card');
    },
    args: ['report', 'out', '--reference', autoencoder, '-o', 'card', '--force'],
    varies: reports,
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
    name: 'web -o',
    prepare: (folder) => modelsThatDraw(folder),
    args: ['web', 'out', '-o', 'page', '--num-inference-steps', '1'],
    together: /^page\//,
    needs: inProject('dist/page'),
    takesLong: true,
  },
];
