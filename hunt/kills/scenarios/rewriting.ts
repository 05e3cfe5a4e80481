import { makeRandomWeights } from '../../../test/support/random-weights.ts';
import { convertUnet } from './converting.ts';
import { convert, lay, modelsThatDraw, type Scenario } from './scenario.ts';

/** Few steps: two weights are measured, all others have 8 bits already. */
async function modelToMeasure(
  folder: string,
  sdconvert: (...args: string[]) => Promise<void>,
): Promise<void> {
  await modelsThatDraw(folder);
  const most = ['--nbits', '8', '--mode', 'linear-symmetric', '--skip-weights', ...MEASURED];
  await sdconvert('quantize', 'out/onnx/unet', ...most, '--in-place');
}

const MEASURED = ['mid_block.resnets.0.conv1.weight', 'mid_block.resnets.0.conv2.weight'];

const analyze = ['analyze', 'out/onnx/unet', '--prompt', 'a red circle'];

/** An analysis is written after each weight. */
const grows = /\.analysis\.json$/;

/** Of commands that make other models of one. */
export const rewriting: readonly Scenario[] = [
  {
    name: 'quantize -o',
    prepare: (folder) => lay.onnx(folder),
    args: ['quantize', 'unet', '--nbits', '4', '-o', 'small'],
  },
  {
    name: 'quantize -o --force',
    async prepare(folder, sdconvert) {
      await lay.onnx(folder);
      await sdconvert('quantize', 'unet', '--nbits', '8', '-o', 'small');
    },
    args: ['quantize', 'unet', '--nbits', '4', '-o', 'small', '--force'],
  },
  {
    name: 'quantize --in-place',
    bySystem: true,
    prepare: (folder) => lay.package(folder),
    args: ['quantize', 'x_unet.mlpackage', '--nbits', '4', '--in-place'],
  },
  {
    name: 'quantize --in-place of a conversion',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convertUnet);
    },
    args: ['quantize', 'out/onnx/unet', '--nbits', '4', '--in-place'],
  },
  {
    name: 'quantize --in-place of a chunk',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convertUnet, '--chunk-unet', '--max-chunk-size', '500kB');
    },
    args: ['quantize', 'out/onnx/unet_chunk1', '--nbits', '4', '--in-place'],
    together: /^$/,
  },
  {
    name: 'quantize --force of a compiled model',
    async prepare(folder, sdconvert) {
      await lay.compiled(folder);
      await sdconvert('quantize', 'x_unet.mlmodelc', '--nbits', '8', '-o', 'small.mlpackage');
    },
    args: ['quantize', 'x_unet.mlmodelc', '--nbits', '4', '-o', 'small.mlpackage', '--force'],
  },
  {
    name: 'quantize --in-place of an asset',
    prepare: (folder) => lay.asset(folder),
    args: ['quantize', 'unet.aimodel', '--nbits', '4', '--in-place'],
  },
  {
    name: 'chunk',
    prepare: (folder) => lay.onnx(folder),
    args: ['chunk', 'unet', '--max-chunk-size', '30kB'],
  },
  {
    name: 'chunk --force',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convertUnet);
      await sdconvert('chunk', 'out/onnx/unet', '--max-chunk-size', '292kB');
    },
    args: ['chunk', 'out/onnx/unet', '--max-chunk-size', '500kB', '--force'],
  },
  {
    name: 'chunk --remove-original',
    bySystem: true,
    prepare: (folder) => lay.package(folder),
    args: ['chunk', 'x_unet.mlpackage', '--max-chunk-size', '30kB', '--remove-original'],
  },
  {
    name: 'chunk --remove-original of a conversion',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convertUnet);
    },
    args: ['chunk', 'out/onnx/unet', '--max-chunk-size', '500kB', '--remove-original'],
  },
  {
    name: 'chunk -o of a compiled model',
    prepare: (folder) => lay.compiled(folder),
    args: ['chunk', 'x_unet.mlmodelc', '--max-chunk-size', '30kB', '-o', 'cut'],
  },
  {
    name: 'compile',
    bySystem: true,
    async prepare(folder, sdconvert) {
      await lay.package(folder);
      await sdconvert('compile', 'x_unet.mlpackage');
      await lay.package(folder, 'other_unet.mlpackage');
    },
    args: ['compile', 'other_unet.mlpackage', '-o', 'x_unet.mlmodelc', '--force'],
  },
  {
    name: 'compile in a conversion',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--target', 'coreml', '--no-bundle', '--convert-vae-decoder');
    },
    args: ['compile', 'out/Stable_Diffusion_version_tiny-autoencoder_vae_decoder.mlpackage'],
  },
  { name: 'analyze', prepare: modelToMeasure, args: analyze, grows, takesLong: true },
  {
    name: 'analyze --target-size -o',
    prepare: modelToMeasure,
    args: [...analyze, '--target-size', '292kB', '-o', 'small'],
    grows,
    takesLong: true,
  },
  {
    name: 'analyze --in-place',
    async prepare(folder, sdconvert) {
      await modelToMeasure(folder, sdconvert);
      await sdconvert(...analyze);
    },
    args: [...analyze, '--target-size', '292kB', '--in-place'],
    grows,
    takesLong: true,
  },
];
