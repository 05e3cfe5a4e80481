import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compileMlPackage } from '../../../../src/formats/coreml/compiled/compile.ts';
import type { FeatureDescription, ModelDescription } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { feature, smallModel, smallWeights, writeSmallPackage } from '../small-package.ts';

/**
 * Two models small enough to be written down, and the SHA-256 of what Apple's compiler (coremlc 3600.25.1, Xcode 27.0) makes
 * of them, as rebeckerspecialties/mlmodelc-export publishes them at 90b0ca4 (tests/fixtures/PRECISION.md). The order of
 * keys in metadata.json is a hash's on Apple's side, so it has no SHA-256 to compare with.
 */
const versions = { component: '3600.16.1', compiler: '3600.25.1' };

/** Five float16 numbers about the smallest normal one become float32 and are added to the input. */
const subnormals = `program(1.3)
[buildInfo = dict<string, string>({})]
{
    func main<ios17>(tensor<fp32, [5]> input) {
            tensor<fp16, [5]> half = const()[val = tensor<fp16, [5]>([0x1p-24, 0x1.5p-17, 0x1.ff8p-15, 0x1p-14, -0x1.5p-17])];
            tensor<fp32, [5]> constant = cast(dtype = string("fp32"), x = half);
            tensor<fp32, [5]> output = add(x = input, y = constant);
        } -> (output);
}`;

/** Four numbers in 8 bits with one scale are added to the input. */
const quantised = `program(1.3)
[buildInfo = dict<string, string>({})]
{
    func main<ios17>(tensor<fp32, [4]> input) {
            tensor<fp32, [4]> constant = constexpr_affine_dequantize()[axis = int32(0), quantized_data = tensor<int8, [4]>(BLOBFILE(path = string("@model_path/weights/weights.bin"), offset = uint64(64))), scale = fp32(0x1p-1), zero_point = int8(-1)];
            tensor<fp32, [4]> output = add(x = input, y = constant);
        } -> (output);
}`;

/** A weight file with these four numbers; 4 is the code of int8. */
const eightBits = smallWeights((view) => {
  view.setUint32(68, 4, true);
  view.setBigUint64(72, 4n, true);
  for (const [index, value] of [-128, -1, 0, 127].entries()) view.setInt8(128 + index, value);
});

const at = temporaryFolder();

test.each([
  {
    name: 'float16 numbers around the smallest normal one',
    text: subnormals,
    size: 5,
    'model.mil': '5bd7193263c0afd46f0121522946193adc48a027ca784b842f83ad2a173f5c75',
    'coremldata.bin': 'f1df53cf37b1d6e1e74b2ecf71bedcb25f581ed56b051de9a3a8c8dc374dceff',
  },
  {
    name: 'weights in 8 bits',
    text: quantised,
    size: 4,
    'model.mil': '7c883a45ccf6928213051322ec4cd09b94f03054ef860b290830e06ba2a38cbe',
    'coremldata.bin': 'f3600551033ee25001fa58f8f84de6bb2ea28eccd0fe536043d46f1923a066d6',
  },
])('$name are compiled to the bytes of Apple’s compiler', async ({ name, text, size, ...expected }) => {
  const model = {
    ...smallModel({ text, specificationVersion: 9 }),
    description: description(feature('input', [size]), feature('output', [size])),
  };
  const source = writeSmallPackage(at(`${name}.mlpackage`), { model });
  writeFileSync(join(source, 'Data/com.apple.CoreML/weights/weights.bin'), eightBits);
  await compileMlPackage(source, at(name), { versions });
  const found = Object.keys(expected).map((file) => [file, sha256(at(name, file))]);
  expect(Object.fromEntries(found)).toEqual(expected);
});

function description(input: FeatureDescription, output: FeatureDescription): ModelDescription {
  return {
    input: [input],
    output: [output],
    predictedFeatureName: '',
    predictedProbabilitiesName: '',
    state: [],
    functions: [],
    defaultFunctionName: '',
    trainingInput: [],
    metadata: null,
  };
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
