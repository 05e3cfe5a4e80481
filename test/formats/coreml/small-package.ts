import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { milDTypes } from '../../../src/formats/coreml/mil/mil-dtype.ts';
import { programFunctions, tensorTypeOf } from '../../../src/formats/coreml/mil/mil-program.ts';
import {
  encodeModel,
  type FeatureDescription,
  type Model,
  type Program,
} from '../../../src/formats/coreml/mil/mil-schema.ts';
import { parseMilText } from '../../../src/formats/coreml/mil/parse-mil-text.ts';

/** A program of three operations with a weight in the file and one in the program, as Apple's compiler would spell it. */
export const smallText = `program(1.0)
[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"coremltools-version", "9.0"}})]
{
    func main<ios16>(tensor<fp32, [1, 4]> x, tensor<fp32, [1, 4]> a) {
            tensor<string, []> to_fp16 = const()[name = tensor<string, []>("to_fp16"), val = tensor<string, []>("fp16")];
            tensor<fp16, [1, 4]> x16 = cast(dtype = to_fp16, x = x)[name = tensor<string, []>("x16")];
            tensor<fp16, [1, 4]> a16 = cast(dtype = to_fp16, x = a)[name = tensor<string, []>("a16")];
            tensor<fp16, [4, 4]> weight = const()[name = tensor<string, []>("weight"), val = tensor<fp16, [4, 4]>(BLOBFILE(path = tensor<string, []>("@model_path/weights/weight.bin"), offset = tensor<uint64, []>(64)))];
            tensor<fp16, [4]> bias = const()[name = tensor<string, []>("bias"), val = tensor<fp16, [4]>([0x1p+0, -0x1.8p-1, 0x0p+0, 0x1p-24])];
            tensor<fp16, [1, 4]> h = linear(bias = bias, weight = weight, x = x16)[name = tensor<string, []>("h")];
            tensor<bool, []> interleave = const()[name = tensor<string, []>("interleave"), val = tensor<bool, []>(false)];
            tensor<int32, []> axis = const()[name = tensor<string, []>("axis"), val = tensor<int32, []>(1)];
            tensor<fp16, [1, 8]> y = concat(axis = axis, interleave = interleave, values = (h, a16))[name = tensor<string, []>("y")];
        } -> (y);
}`;

/** A model of this program, with inputs \`x\` and \`a\` and output \`y\`; of another text's, with what that takes and gives. */
export function smallModel({ text = smallText, specificationVersion = 7 } = {}): Model {
  const mlProgram = parseMilText(text, 'model.mil');
  return {
    specificationVersion,
    description: {
      ...(text === smallText
        ? {
            input: [feature('x', [1, 4]), feature('a', [1, 4])],
            output: [feature('y', [1, 8], milDTypes.fp16.array)],
          }
        : featuresOf(mlProgram)),
      predictedFeatureName: '',
      predictedProbabilitiesName: '',
      state: [],
      functions: [],
      defaultFunctionName: '',
      trainingInput: [],
      metadata: {
        shortDescription: 'Joins a/b',
        versionString: '',
        author: '',
        license: '',
        userDefined: { source: 'test' },
      },
    },
    isUpdatable: false,
    mlProgram,
  };
}

/** What the first function of a program takes and gives; an output's shape is not said. */
function featuresOf(program: Program) {
  const [main] = programFunctions(program);
  if (!main) return { input: [], output: [] };
  const { function: fn, block } = main;
  return {
    input: fn.inputs.map(({ name, type }) =>
      feature(
        name,
        (tensorTypeOf(type)?.shape ?? []).map((size) => size ?? 1),
      ),
    ),
    output: block.outputs.map((name) => feature(name, [])),
  };
}

export function feature(
  name: string,
  shape: readonly number[],
  dataType: number = milDTypes.fp32.array,
): FeatureDescription {
  return { name, shortDescription: '', type: { multiArrayType: { shape, dataType }, isOptional: false } };
}

/** A weight file with one blob of 16 float16 numbers; `change` may damage it. */
export function smallWeights(change: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(128 + 32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, 2, true);
  view.setUint32(64, 0xdeadbeef, true);
  view.setUint32(68, 1, true);
  view.setBigUint64(72, 32n, true);
  view.setBigUint64(80, 128n, true);
  for (let index = 0; index < 16; index++) view.setUint16(128 + 2 * index, 0x3c00 + index, true);
  change(view);
  return bytes;
}

/** Writes a package with these files; those that are left out are intact, `undefined` ones missing. */
export function writeSmallPackage(
  folder: string,
  files: {
    readonly model?: Model | Uint8Array | undefined;
    readonly weights?: Uint8Array | undefined;
    readonly manifest?: string;
  } = {},
): string {
  const { model, weights, manifest } = {
    model: smallModel(),
    weights: smallWeights(),
    manifest: smallManifest,
    ...files,
  };
  writeTo(join(folder, 'Manifest.json'), manifest);
  const inside = join(folder, 'Data', 'com.apple.CoreML');
  if (model) writeTo(join(inside, 'model.mlmodel'), model instanceof Uint8Array ? model : encodeModel(model));
  if (weights) writeTo(join(inside, 'weights', 'weight.bin'), weights);
  return folder;
}

function writeTo(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

export const smallManifest = JSON.stringify({
  fileFormatVersion: '1.0.0',
  itemInfoEntries: {
    one: {
      author: 'com.apple.CoreML',
      description: '',
      name: 'model.mlmodel',
      path: 'com.apple.CoreML/model.mlmodel',
    },
    two: { author: 'com.apple.CoreML', description: '', name: 'weights', path: 'com.apple.CoreML/weights' },
  },
  rootModelIdentifier: 'one',
});
