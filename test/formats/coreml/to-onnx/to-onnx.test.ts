import { expect, test } from 'vitest';
import { UnsupportedModelError } from '../../../../src/errors.ts';
import { openMlPackage } from '../../../../src/formats/coreml/package/read-package.ts';
import { milToOnnx } from '../../../../src/formats/coreml/to-onnx/to-onnx.ts';
import { dataTypes, EXTERNAL } from '../../../../src/formats/onnx/proto.ts';
import type { Translation } from '../../../../src/formats/onnx/translated/run-translated.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { rejectionOf } from '../../../support/thrown-by.ts';
import { f32, float16Blob, i32, type SmallProgram, writeProgram } from '../run-mil.ts';

const at = temporaryFolder();
let count = 0;

async function translate(program: SmallProgram, roundToFloat16 = false): Promise<Translation> {
  const model = await openMlPackage(writeProgram(at(`${++count}.mlpackage`), program));
  try {
    return await milToOnnx(model, { roundToFloat16, dataFolder: at(), decodedFolder: at('decoded') });
  } finally {
    await model.close();
  }
}

const inFile = (type: string) =>
  `tensor<${type}> w = const()[val = tensor<${type}>(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64(64)))];`;

const linear: SmallProgram = {
  inputs: { x: f32([1, 2], [1, 2]) },
  dtype: 'fp16',
  operations: `${inFile('fp16, [2, 2]')}tensor<fp16, [1, 2]> y = linear(x = x, weight = w);`,
  outputs: ['y'],
  weights: float16Blob([0x3c00, 0, 0, 0x3c00]),
};

test('weights are read where they lie: nothing of them is written', async () => {
  const { proto, dataFiles } = await translate(linear);
  expect(dataFiles).toEqual([]);
  const external = proto.graph?.initializer?.filter(({ dataLocation }) => dataLocation === EXTERNAL);
  const weightFile = `${count}.mlpackage/Data/com.apple.CoreML/weights/weight.bin`;
  expect(external?.map(({ name, dims, externalData }) => ({ name, dims, externalData }))).toEqual([
    {
      name: 'w/stored',
      dims: [2, 2],
      externalData: [
        { key: 'location', value: weightFile },
        { key: 'offset', value: '128' },
        { key: 'length', value: '8' },
      ],
    },
  ]);
});

test('compressed weights are decoded to a file, in their dtype', async () => {
  const { dataFiles } = await translate({
    inputs: { x: f32([1, 2], [1, 2]) },
    dtype: 'fp16',
    operations: `tensor<fp16, [2, 2]> w = constexpr_lut_to_dense(indices = tensor<uint1, [2, 2]>([[0, 1], [1, 0]]), lut = tensor<fp16, [1, 1, 2, 1]>([[[[1], [-2]]]]));
      tensor<fp16, [1, 2]> y = linear(x = x, weight = w);`,
    outputs: ['y'],
  });
  expect(dataFiles.map(({ location, byteLength }) => ({ location, byteLength }))).toEqual([
    { location: 'decoded/weights', byteLength: 8 },
  ]);
  const blocks: Uint8Array[] = [];
  for await (const block of dataFiles[0]?.tensors[0]?.tensor.stream() ?? []) blocks.push(block);
  expect(blocks).toEqual([Uint8Array.from([0x00, 0x3c, 0x00, 0xc0, 0x00, 0xc0, 0x00, 0x3c])]);
});

test('inputs and outputs keep their names, float16 becomes float32 and free sizes get a name', async () => {
  const { proto } = await translate({
    ...linear,
    inputs: { x: f32([1, 2], []), ids: i32([3], []) },
    operations: `${linear.operations}tensor<int32, [3]> twice = add(x = ids, y = ids);`,
    outputs: ['twice', 'y'],
  });
  const declared = (infos: NonNullable<Translation['proto']['graph']>['input']) =>
    infos?.map(({ name, type }) => [name, type?.tensorType?.elemType, type?.tensorType?.shape?.dim]);
  const sizes = (...dims: number[]) => dims.map((dimValue) => ({ dimValue }));
  expect(declared(proto.graph?.input)).toEqual([
    ['x', 1, sizes(1, 2)],
    ['ids', 6, sizes(3)],
  ]);
  expect(declared(proto.graph?.output)).toEqual([
    ['twice', 6, sizes(3)],
    ['y', 1, sizes(1, 2)],
  ]);

  const text = 'tensor<fp32, [?, 2]> y = relu(x = x);';
  const free = await translate({ inputs: { x: f32([1, 2], []) }, operations: text, outputs: ['y'] });
  expect(free.proto.graph?.output?.[0]?.type?.tensorType?.shape?.dim).toEqual([
    { dimParam: 'y_0' },
    { dimValue: 2 },
  ]);
});

test('only what is computed in float16 is rounded to it', async () => {
  const operations = `${inFile('fp16, [2, 2]')}
    tensor<fp16, [1, 2]> h = linear(x = x, weight = w);
    tensor<fp16, [2, 1]> moved = transpose(x = h, perm = tensor<int32, [2]>([1, 0]));
    tensor<fp32, [2, 1]> wide = cast(x = moved, dtype = string("fp32"));
    tensor<fp32, [2, 1]> y = exp(x = wide);`;
  const { proto, trace } = await translate({ ...linear, operations }, true);
  const toFloat16 = proto.graph?.node?.filter(
    ({ opType, attribute }) => opType === 'Cast' && attribute?.[0]?.i === dataTypes.f16,
  );
  expect(toFloat16?.map(({ output }) => output?.[0])).toEqual(['x/f32/float16', 'h/f32/float16']);
  expect(trace.filter(({ index }) => index !== undefined).map(({ name }) => name)).toEqual([
    'x',
    'h',
    'wide',
    'y',
  ]);
  expect(await translate({ ...linear, operations })).toMatchObject({ trace: [] });
});

test('parameters may lie in the weight file, as long ones do for iOS 18', async () => {
  const weights = float16Blob(Array(20).fill(0));
  const view = new DataView(weights.buffer);
  view.setUint32(68, 14, true); // int32
  for (const [index, pad] of [0, 0, 0, 0, 0, 0, 0, 0, 1, 2].entries())
    view.setInt32(128 + 4 * index, pad, true);
  const { proto } = await translate({
    inputs: { x: f32([1, 1, 1, 1, 2], []) },
    operations: `${inFile('int32, [10]')}tensor<fp32, [1, 1, 1, 1, 5]> y = pad(x = x, pad = w, mode = string("constant"), constant_val = fp32(0));`,
    outputs: ['y'],
    weights,
  });
  const [pad] = proto.graph?.node?.filter(({ opType }) => opType === 'Pad') ?? [];
  expect(pad?.input?.[1]).toBe('int64[0,0,0,0,1,0,0,0,0,2]');
});

async function refusal(operations: string): Promise<string> {
  const program = {
    inputs: { x: f32([1, 4], []), n: i32([1], []), image: f32([1, 1, 2, 2], []) },
    operations,
    outputs: ['y'],
  };
  const error = await rejectionOf(translate(program));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  return `${error.problem.replace(/^.*: /, '')} ${JSON.stringify(error.details)}`;
}

test('an operation that cannot be run is named, with the value it gives', async () => {
  expect(
    await refusal(`tensor<fp32, [1, 4]> h = relu(x = x);
      tensor<fp32, [1, 4]> normed = local_response_norm(x = h, size = int32(3));
      tensor<fp32, [1, 4]> y = resample(x = normed);`),
  ).toBe(
    'the operation local_response_norm is not supported. {"value":"normed","all of these are not":"local_response_norm, resample"}',
  );
});

test.each([
  ['conv', 'weight = image, pad_type = string("sideways"), x = image', 'its pad_type is sideways'],
  ['gelu', 'x = x, mode = string("ROUGH")', 'its mode is ROUGH'],
  ['pad', 'x = x, pad = tensor<int32, [2]>([0, 0]), mode = string("mirror")', 'its mode is mirror'],
  ['scatter_nd', 'data = x, indices = n, updates = x, mode = string("div")', 'its mode is div'],
  ['concat', 'values = (x, x), axis = int32(0), interleave = bool(true)', 'it interleaves'],
  ['gather', 'x = x, indices = n, batch_dims = int32(1)', 'it has batch_dims'],
  ['upsample_nearest_neighbor', 'x = x, scale_factor_height = fp32(1.5)', 'it enlarges by a fraction'],
  ['lstm', 'x = x, weight_hh = x, direction = string("reverse")', 'its direction is reverse'],
  ['lstm', 'x = x, weight_hh = x, peephole = x', 'it has a peephole'],
  ['transpose', 'x = x, perm = n', 'its perm is not a constant'],
  ['transpose', 'x = x', 'it has no perm'],
  ['add', 'x = x', 'it has no y'],
])('%s(%s) is refused, not computed as something else', async (operation, parameters, why) => {
  expect(await refusal(`tensor<fp32, [1, 4]> y = ${operation}(${parameters});`)).toBe(
    `${operation} is not supported where ${why}. {"value":"y"}`,
  );
});

test('a type that is not computed with here is named', async () => {
  const doubles = 'tensor<fp64, [1]> d = const()[val = tensor<fp64, [1]>([1])];';
  expect(await refusal(`${doubles}tensor<fp32, [1, 4]> y = add(x = x, y = d);`)).toBe(
    'fp64 as the type of d. {}',
  );
});

test.each([
  ['a fraction', 'tensor<fp32, [1]>([0.5])'],
  ['a text', 'string("ab")'],
])('%s where whole numbers are needed is refused, by parameter', async (_, axes) => {
  const program = {
    inputs: { x: f32([1, 2], [1, 2]) },
    operations: `tensor<fp32, [1, 2]> y = layer_norm(x = x, axes = ${axes});`,
    outputs: ['y'],
  };
  const error = await rejectionOf(translate(program));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toContain('its axes is not of whole numbers');
});

test.each([
  ['linear', 'linear(x = x, weight = b)'],
  ['a convolution', 'instance_norm(x = b, gamma = b)'],
  ['padding', 'pad(x = b, pad = tensor<int32, [4]>([1, 1, 1, 1]))'],
])('%s of values with too few axes is refused, by parameter', async (_, operation) => {
  const program = {
    inputs: { x: f32([1, 2], [1, 2]), b: f32([2], [1, 2]) },
    operations: `tensor<fp32, [1, 2]> y = ${operation};`,
    outputs: ['y'],
  };
  const error = await rejectionOf(translate(program));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toMatch(/its \w+ has too few axes/);
});

test('a split that is not even is refused, with its sizes', async () => {
  const program = {
    inputs: { x: f32([1, 3], [1, 2, 3]) },
    operations:
      'tensor<fp32, [1, 1]> y, tensor<fp32, [1, 2]> z = split(x = x, num_splits = int32(2), axis = int32(1));',
    outputs: ['y', 'z'],
  };
  const error = await rejectionOf(translate(program));
  expect(error.problem).toContain('3 is not cut evenly into 2');
});
