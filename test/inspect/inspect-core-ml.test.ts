import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import { convert } from '../../src/convert/convert.ts';
import { buildCoreMl } from '../../src/formats/coreml/build/build-model.ts';
import { describeModel } from '../../src/formats/coreml/build/describe-model.ts';
import { compileMlPackage } from '../../src/formats/coreml/compiled/compile.ts';
import { writePackage } from '../../src/formats/coreml/package/package.ts';
import { describe } from '../../src/inspect/describe.ts';
import type { ModelInspection } from '../../src/inspect/inspection.ts';
import { withPrecision } from '../../src/quantize/precision.ts';
import { smallModel, smallText, smallWeights, writeSmallPackage } from '../formats/coreml/small-package.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const fixture = fileURLToPath(new URL('../fixtures/sd21', import.meta.url));
const name = 'Stable_Diffusion_version_sd21_unet.mlpackage';

beforeAll(async () => {
  const checkpoint = await openCheckpoint(fixture);
  const [unet] = convert(checkpoint, {
    models: ['unet'],
    contract: appleContract,
    attention: 'SPLIT_EINSUM',
    sizes: {},
  });
  if (!unet) throw new Error('there is no UNet');
  const model = buildCoreMl(withPrecision(unet.graph, 'float16'), {
    target: 'macOS13',
    description: describeModel('unet', 'sd21', { license: 'OpenRAIL', userDefined: { origin: 'a test' } }),
  });
  await writePackage(at(name), model, () => {});
  await checkpoint.close();
  await compileMlPackage(at(name), at('UnetChunk1.mlmodelc'));
});

async function inspectCoreMl(path: string): Promise<ModelInspection<'mlpackage' | 'mlmodelc'>> {
  const inspection = await inspect({ path });
  if (inspection.kind !== 'mlpackage' && inspection.kind !== 'mlmodelc')
    throw new Error(`it was taken for ${inspection.kind}`);
  return inspection;
}

test('a package is described: borders, versions, operations, weights, attention', async () => {
  const found = await inspectCoreMl(at(name));
  expect(found).toMatchObject({
    kind: 'mlpackage',
    network: 'unet',
    chunk: null,
    specificationVersion: 7,
    opset: 'CoreML6',
    deploymentTarget: 'macOS13',
    attention: 'SPLIT_EINSUM',
    inputs: [
      { name: 'sample', dtype: 'float16', shape: [2, 4, 16, 16] },
      { name: 'timestep', dtype: 'float16', shape: [2] },
      { name: 'encoder_hidden_states', dtype: 'float16', shape: [2, 64, 1, 77] },
    ],
    outputs: [{ name: 'noise_pred', dtype: 'float32', shape: [2, 4, 16, 16] }],
    metadata: { version: 'sd21', origin: 'a test' },
    next: { command: `sdconvert validate ${at(name)} --reference CHECKPOINT` },
  });
  // 2, 4 and 6 heads in 5, 5 and 6 blocks, each with two attentions of two products
  expect(found.operations.einsum).toBe((2 * 5 + 4 * 5 + 6 * 6) * 4);
  expect(found.operations).not.toHaveProperty('const');
  const [halves] = found.weights;
  expect(halves).toMatchObject({ stored: 'float16', bits: 16 });
  expect(halves?.parameters).toBeGreaterThan(5_523_876 * 0.999);
  expect(found.files.map((file) => file.name)).toContain('Data/com.apple.CoreML/weights/weight.bin');
});

test('a compiled model is described as the package it was made of', async () => {
  const { kind, path: _, files, next, chunk, ...compiled } = await inspectCoreMl(at('UnetChunk1.mlmodelc'));
  expect([kind, chunk]).toEqual(['mlmodelc', '1']);
  expect(await inspectCoreMl(at(name))).toMatchObject(compiled);
  expect(files.map((file) => file.name)).toContain('model.mil');
  expect(next).toEqual({ command: expect.stringContaining('UnetChunk1.mlmodelc') });
});

test.for([
  [2, 4, 16],
  [6, 64, 16],
] as const)('a palette of %i bits is told from its %i colours', async ([bits, colours, count]) => {
  const lut = `tensor<fp16, [${colours}]>([${Array(colours).fill('0x1p+0').join(', ')}])`;
  const blob =
    'BLOBFILE(path = tensor<string, []>("@model_path/weights/weight.bin"), offset = tensor<uint64, []>(64))';
  const byteLength = (count * bits) / 8;
  const palette =
    `tensor<fp16, [4, 4]> weight = constexpr_lut_to_dense()[indices = tensor<uint8, [${byteLength}]>(${blob}), ` +
    `lut = ${lut}, name = tensor<string, []>("weight"), shape = tensor<uint32, [2]>([4, 4])];`;
  const text = smallText.replace(/tensor<fp16, \[4, 4\]> weight = .*/, palette);
  const weights = smallWeights((view) => {
    view.setUint32(68, 3, true); // uint8
    view.setBigUint64(72, BigInt(byteLength), true);
  });
  const path = writeSmallPackage(at(`${bits}.mlpackage`), { model: smallModel({ text }), weights });
  expect(await inspectCoreMl(path)).toMatchObject({
    network: null,
    attention: null,
    weights: [{ stored: `${bits}-bit palette`, bits, tensors: 1, parameters: 16, byteLength }],
    metadata: { source: 'test' },
  });
});

test('weights that the model refers to twice are counted once', async () => {
  const twice = smallText.replace(
    /( +tensor<fp16, \[4, 4\]> )weight( = const\(\)\[name = tensor<string, \[\]>\(")weight(.*\n)/,
    (line, type, middle, end) => `${line}${type}again${middle}again${end}`,
  );
  const path = writeSmallPackage(at('twice.mlpackage'), { model: smallModel({ text: twice }) });
  expect((await inspectCoreMl(path)).weights).toMatchObject([{ tensors: 2, parameters: 32, byteLength: 32 }]);
});

test('a package that is damaged is described as that', async () => {
  const path = writeSmallPackage(at('damaged.mlpackage'));
  rmSync(at('damaged.mlpackage/Data/com.apple.CoreML/weights/weight.bin'));
  expect(await inspect({ path })).toMatchObject({
    kind: 'other',
    problems: [expect.stringContaining('weight.bin does not exist')],
  });
  writeFileSync(at('damaged.mlpackage/Manifest.json'), '{}');
  expect(await inspect({ path })).toMatchObject({
    kind: 'other',
    problems: [expect.stringContaining('not the manifest')],
  });
});

test('the text fits on a screen and says what apps will take the attention for', async () => {
  const text = describe(await inspectCoreMl(at(name)));
  expect(text.split('\n').length).toBeLessThanOrEqual(40);
  expect(text).toContain('SPLIT_EINSUM, as apps tell it');
  expect(text).toMatch(/\nNext: sdconvert validate .*$/);
});
