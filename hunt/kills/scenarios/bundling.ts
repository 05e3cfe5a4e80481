import { makeRandomWeights } from '../../../test/support/random-weights.ts';
import { convertToDraw, toDraw } from './running.ts';
import { convert, modelsThatDraw, type Scenario } from './scenario.ts';

/** Of `bundle`. */
export const bundling: readonly Scenario[] = [
  {
    name: 'bundle',
    bySystem: true,
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
    name: 'bundle again',
    async prepare(_, sdconvert) {
      await makeRandomWeights();
      await sdconvert(...convert, '--target', 'coreml');
      await sdconvert(...convert, '--target', 'coreml', '--no-bundle', '--precision', 'float32', '--force');
    },
    args: ['bundle', 'out'],
  },
  {
    name: 'bundle --for openvino again',
    async prepare(folder, sdconvert) {
      await modelsThatDraw(folder);
      await sdconvert('bundle', 'out', '--for', 'openvino');
      await sdconvert('quantize', 'out/onnx/unet', '--nbits', '8', '--in-place');
    },
    args: ['bundle', 'out', '--for', 'openvino'],
  },
  {
    name: 'bundle -o --for two clients',
    prepare: (folder) => modelsThatDraw(folder),
    args: ['bundle', 'out', '--for', 'ort-web,onnxstack', '-o', 'apps'],
  },
  {
    name: 'bundle with ControlNets',
    prepare: (folder) => modelsThatDraw(folder, 'coreml'),
    args: ['bundle', 'out'],
    takesLong: true,
  },
];
