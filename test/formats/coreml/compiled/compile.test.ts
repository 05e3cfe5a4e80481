import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NotFoundError, UnsupportedModelError } from '../../../../src/errors.ts';
import { compileMlPackage } from '../../../../src/formats/coreml/compiled/compile.ts';
import { openMlPackage } from '../../../../src/formats/coreml/package/read-package.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { feature, smallModel, smallText, smallWeights, writeSmallPackage } from '../small-package.ts';

const at = temporaryFolder();

async function compileSmall(name: string, model = smallModel()) {
  const path = writeSmallPackage(at(`${name}.mlpackage`), { model });
  await compileMlPackage(path, at(`${name}.mlmodelc`));
  const read = (file: string) => readFileSync(at(`${name}.mlmodelc`, file));
  const [metadata] = JSON.parse(read('metadata.json').toString());
  return { read, metadata };
}

test('a compiled model is five files: text, weights, description, summary, statistics', async () => {
  const { read } = await compileSmall('whole');
  const files = readdirSync(at('whole.mlmodelc'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => `${parentPath}/${name}`.replace(`${at('whole.mlmodelc')}/`, ''));
  expect(files.sort()).toEqual([
    'analytics/coremldata.bin',
    'coremldata.bin',
    'metadata.json',
    'model.mil',
    'weights/weight.bin',
  ]);
  const [first, , ...rest] = smallText.split('\n');
  const [head, buildInfo, ...text] = read('model.mil').toString().split('\n');
  expect(head).toBe(first);
  expect(buildInfo).toContain(
    '{"coremlc-component-MIL", "3500.14.1"}, {"coremlc-version", "3500.32.1"}, {"coremltools-version", "9.0"}',
  );
  expect(text.slice(2)).toEqual(rest.slice(2));
  expect(new Uint8Array(read('weights/weight.bin'))).toEqual(smallWeights());
});

test('the versions of the compiler are the ones asked for', async () => {
  const path = writeSmallPackage(at('versions.mlpackage'));
  await compileMlPackage(path, at('versions.mlmodelc'), { versions: { component: '1.2', compiler: '3.4' } });
  expect(readFileSync(at('versions.mlmodelc/model.mil'), 'utf8')).toContain(
    '{"coremlc-component-MIL", "1.2"}, {"coremlc-version", "3.4"}',
  );
});

test.each([
  [6, 'ios15', 5],
  [7, 'ios16', 5],
  [8, 'ios17', 5],
  [9, 'ios18', 9],
])(
  'the description is packed as Apple packs it for specification version %i',
  async (specificationVersion, opset, container) => {
    const text = smallText.replace('ios16', opset);
    const name = `spec${specificationVersion}`;
    const { read } = await compileSmall(name, smallModel({ text, specificationVersion }));
    const bytes = read('coremldata.bin');
    const source = await openMlPackage(at(`${name}.mlpackage`));
    const { descriptionBytes } = source;
    await source.close();
    const expected = Buffer.concat([
      Buffer.from([0xf6, 0x01, 0, 0, container, 0, 0, 0]),
      Buffer.alloc(20),
      Buffer.from([7, 0, 0, 0, 0, 0, 0, 0]),
      Buffer.from('generic'),
      Buffer.from([specificationVersion, 0, 0, 0]),
      Buffer.alloc(28),
      Buffer.from(BigUint64Array.of(BigInt(descriptionBytes.length)).buffer),
      descriptionBytes,
      Buffer.from([0xf6, 0x01, 0, 0]),
      Buffer.alloc(12),
    ]);
    expect(bytes.equals(expected)).toBe(true);
    expect(read('model.mil').toString()).toMatch(
      specificationVersion === 9 ? /^program\(1\.3\)/ : /^program\(1\.0\)/,
    );
  },
);

test('a model without metadata gets empty ones, as from Apple', async () => {
  const model = smallModel();
  const { read } = await compileSmall('bare', {
    ...model,
    description: model.description && { ...model.description, metadata: null },
  });
  expect(read('coremldata.bin').subarray(-19, -16)).toEqual(Buffer.from([0xa2, 0x06, 0x00]));
});

test('the statistics hold the hash of the model file', async () => {
  const { read } = await compileSmall('hashed');
  const bytes = read('analytics/coremldata.bin');
  const hash = createHash('sha256')
    .update(readFileSync(at('hashed.mlpackage/Data/com.apple.CoreML/model.mlmodel')))
    .digest('base64');
  expect(bytes.length).toBe(243);
  expect(bytes.toString('latin1')).toContain(`modelHash\x2c\0\0\0\0\0\0\0${hash}`);
});

test('the summary holds what apps read: schemas as text, and how often each operation occurs', async () => {
  const { metadata, read } = await compileSmall('2 models-v1.5');
  expect(metadata).toEqual({
    shortDescription: 'Joins a/b',
    metadataOutputVersion: '3.0',
    modelParameters: [],
    specificationVersion: 7,
    inputSchema: ['x', 'a'].map((name) => ({
      hasShapeFlexibility: '0',
      isOptional: '0',
      dataType: 'Float32',
      formattedType: 'MultiArray (Float32 1 × 4)',
      shortDescription: '',
      shape: '[1, 4]',
      name,
      type: 'MultiArray',
    })),
    outputSchema: [
      {
        hasShapeFlexibility: '0',
        isOptional: '0',
        dataType: 'Float16',
        formattedType: 'MultiArray (Float16 1 × 8)',
        shortDescription: '',
        shape: '[1, 8]',
        name: 'y',
        type: 'MultiArray',
      },
    ],
    stateSchema: [],
    storagePrecision: 'Float16',
    computePrecision: 'Mixed (Float16, Int32)',
    mlProgramOperationTypeHistogram: { 'Ios16.cast': 2, 'Ios16.linear': 1, Concat: 1 },
    isUpdatable: '0',
    availability: {
      macOS: '13.0',
      tvOS: '16.0',
      visionOS: '1.0',
      watchOS: '9.0',
      iOS: '16.0',
      macCatalyst: '16.0',
    },
    modelType: { name: 'MLModelType_mlProgram' },
    userDefinedMetadata: { source: 'test' },
    generatedClassName: '_2_models_v1_5',
    method: 'predict',
  });
  const text = read('metadata.json').toString();
  expect(text.startsWith('[\n  {\n    "shortDescription" : "Joins a\\/b",\n')).toBe(true);
  expect(text).toContain('"modelParameters" : [\n\n    ],\n');
  expect(text.endsWith('\n  }\n]')).toBe(true);
});

test('compressed weights are named by what compresses them', async () => {
  const blob = (type: string) =>
    `tensor<${type}>(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64(64)))`;
  const precision = async (name: string, operation: string, before = '') => {
    const text = `program(1.3){func main<ios18>(){${before}tensor<fp16, [4, 4]> y = ${operation};}->(y);}`;
    return (await compileSmall(name, smallModel({ text, specificationVersion: 9 }))).metadata
      .storagePrecision;
  };
  expect(await precision('lut16', `constexpr_lut_to_dense()[lut = ${blob('fp16, [16]')}]`)).toBe(
    'Palettized (4 bits)',
  );
  expect(await precision('lut18', `constexpr_lut_to_dense(lut = ${blob('fp16, [2, 1, 8, 1]')})`)).toBe(
    'Palettized (3 bits)',
  );
  const colours = `tensor<fp16, [1, 1, 2, 1]> colours =
    constexpr_blockwise_shift_scale(data = tensor<int8, [1, 1, 2, 1]>([[[[1], [2]]]]));`;
  expect(await precision('lut8', 'constexpr_lut_to_dense(lut = colours)', colours)).toBe('Int8');
  expect(await precision('none', `fill()[value = fp16(0x0p+0)]`)).toBeUndefined();
});

test('what cannot be compiled here is refused before anything is written', async () => {
  const model = smallModel();
  const image = { ...feature('x', [1]), type: { imageType: new Uint8Array(), isOptional: false } };
  const { description } = model;
  for (const [name, broken] of [
    ['future', smallModel({ specificationVersion: 10 })],
    [
      'image',
      { ...model, description: description && { ...description, input: [image, feature('a', [1, 4])] } },
    ],
  ] as const) {
    const path = writeSmallPackage(at(`${name}.mlpackage`), { model: broken });
    await expect(compileMlPackage(path, at(`${name}.mlmodelc`))).rejects.toThrow(UnsupportedModelError);
    expect(existsSync(at(`${name}.mlmodelc`))).toBe(false);
  }
  await expect(compileMlPackage(at('missing.mlpackage'), at('missing.mlmodelc'))).rejects.toThrow(
    NotFoundError,
  );
});

test('functions that the description does not name have not those of the model, each all of them', async () => {
  const { description, mlProgram, ...model } = smallModel();
  const [main] = Object.values(mlProgram?.functions ?? {});
  if (!description || !mlProgram || !main) throw new Error('no function');
  const others = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`other${index}`, main]));
  const functions = { ...mlProgram.functions, ...others };
  const { input, output, state } = description;
  const own = { predictedFeatureName: '', predictedProbabilitiesName: '' };
  const described = [{ name: 'main', input, output, state, ...own }];
  const { metadata } = await compileSmall('many', {
    ...model,
    mlProgram: { ...mlProgram, functions },
    description: { ...description, functions: described, defaultFunctionName: 'main' },
  });
  expect(metadata.functions).toHaveLength(31);
  expect(metadata.inputSchema).toHaveLength(input.length);
  type Described = { readonly inputSchema: readonly unknown[] };
  const schemas = metadata.functions.flatMap((each: Described) => each.inputSchema);
  expect(schemas).toHaveLength(input.length);
});
