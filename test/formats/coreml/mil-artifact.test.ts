import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { FileFormatError, NotFoundError, UnsupportedModelError } from '../../../src/errors.ts';
import { compileMlPackage } from '../../../src/formats/coreml/compiled/compile.ts';
import type { NonFiniteValue } from '../../../src/formats/runner.ts';
import { openChain } from '../../../src/run/chain.ts';
import { feedsFor } from '../../../src/run/feeds.ts';
import { openRunner } from '../../../src/run/open-runner.ts';
import { psnr } from '../../../src/validate/psnr.ts';
import { openSafetensors } from '../../../src/weights/safetensors-file.ts';
import { readTensor, type TensorData } from '../../../src/weights/tensor-data.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';
import { f32, float16Blob, i32, runProgram, type SmallProgram, writeProgram } from './run-mil.ts';

const at = temporaryFolder();
let count = 0;
let place = '';
const systemsFolder = process.env.TMPDIR;

/** What is temporary goes to a folder of this file's own, so that it can see what is left; onnxruntime leaves logs there. */
function leftovers(): string[] {
  return readdirSync(at('temporary')).filter((name) => name.startsWith('sdconvert'));
}

beforeAll(() => {
  mkdirSync(at('temporary'));
  process.env.TMPDIR = at('temporary');
});
afterAll(() => {
  if (systemsFolder === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = systemsFolder;
});
beforeEach(() => {
  place = at(`${++count}.mlpackage`);
});

const palettized: SmallProgram = {
  inputs: { x: f32([1, 2], [10, 1]), n: i32([2], [3, 4]) },
  dtype: 'fp16',
  operations: `
    tensor<fp16, [2, 2]> w = constexpr_lut_to_dense(indices = tensor<uint1, [2, 2]>([[0, 1], [1, 1]]), lut = tensor<fp16, [1, 1, 2, 1]>([[[[0.5], [-2]]]]));
    tensor<fp16, [2, 2]> v = const()[val = tensor<fp16, [2, 2]>(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64(64)))];
    tensor<fp16, [1, 2]> h = linear(x = x, weight = w);
    tensor<fp16, [1, 2]> y = linear(x = h, weight = v);
    tensor<int32, [2]> m = mul(x = n, y = n);`,
  outputs: ['y', 'm'],
  weights: float16Blob([0x3c00, 0x4000, 0x4200, 0x4400]), // 1 2 3 4
};

// h = [10 · 0.5 − 2, −20 − 2] = [3, −22], y = [3 − 44, 9 − 88]
const expected = [
  ['y', f32([1, 2], [-41, -79])],
  ['m', i32([2], [9, 16])],
];

test.each([false, true])(
  'a package is run with its weights, stored and compressed (optimize: %s)',
  async (optimize) => {
    expect([...(await runProgram(place, palettized, { optimize }))]).toEqual(expected);
  },
);

test('a compiled model gives what its package gives', async () => {
  await compileMlPackage(writeProgram(place, palettized), at('compiled.mlmodelc'));
  const runner = await openRunner(at('compiled.mlmodelc/'), { optimize: false });
  expect(runner.inputs).toEqual([
    { name: 'x', dtype: 'f32', dims: [1, 2] },
    { name: 'n', dtype: 'i32', dims: [2] },
  ]);
  expect(runner.outputs).toEqual([
    { name: 'y', dtype: 'f32', dims: [1, 2] },
    { name: 'm', dtype: 'i32', dims: [2] },
  ]);
  expect([...(await runner.run(new Map(Object.entries(palettized.inputs))))]).toEqual(expected);
  await runner.close();
});

test('an output may be a constant', async () => {
  const operations = 'tensor<fp32, [2]> y = const()[val = tensor<fp32, [2]>([1, 2])];';
  const outputs = await runProgram(place, { inputs: palettized.inputs, operations, outputs: ['y'] });
  expect([...outputs]).toEqual([['y', f32([2], [1, 2])]]);
});

test('nothing temporary is left: not while a model is open, and not when it does not open', async () => {
  const runner = await openRunner(writeProgram(place, palettized), { optimize: false });
  expect(leftovers()).toEqual([]);
  expect([...(await runner.run(new Map(Object.entries(palettized.inputs))))]).toEqual(expected);
  await runner.close();

  const clash = palettized.operations.replace('linear(x = h, weight = v)', 'add(x = w, y = n)');
  await rejectionOf(runProgram(at('clash.mlpackage'), { ...palettized, operations: clash }));
  expect(leftovers()).toEqual([]);
});

test('weights that are not there are missed', async () => {
  rmSync(join(writeProgram(place, palettized), 'Data/com.apple.CoreML/weights/weight.bin'));
  const error = await rejectionOf(openRunner(place, { optimize: false }));
  expect(error).toBeInstanceOf(NotFoundError);
  expect(error.problem).toMatch(/^The weights of the model are missing: .*weight\.bin does not exist\.$/);
});

test('a compressed weight that contradicts itself is named', async () => {
  const operations = palettized.operations.replace(
    /tensor<fp16, \[2, 2\]> w = .*/,
    'tensor<fp16, [2, 2]> w = constexpr_lut_to_dense()[indices = tensor<uint8, [1]>([0]), lut = tensor<fp16, [3]>([0, 1, 2]), shape = tensor<uint32, [2]>([2, 2])];',
  );
  const error = await rejectionOf(runProgram(place, { ...palettized, operations }));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.details).toMatchObject({ weight: 'w' });
  expect(leftovers()).toEqual([]);
});

test('what onnxruntime does not take is reported in its words', async () => {
  const operations = 'tensor<fp32, [1, 2]> y = add(x = x, y = n);';
  const error = await rejectionOf(
    runProgram(place, { inputs: palettized.inputs, operations, outputs: ['y'] }),
  );
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toMatch(
    /cannot be run on this machine: onnxruntime rejects its translation to ONNX\.$/,
  );
  expect(error.details.onnxruntime).toMatch(/Type parameter/);
});

/** Runs with rounding to float16; gives the output `y`, and what was said of values that are not finite. */
async function rounded(program: SmallProgram) {
  const found: NonFiniteValue[] = [];
  const options = { roundToFloat16: true, onNonFinite: (value: NonFiniteValue) => found.push(value) };
  const outputs = await runProgram(place, program, options);
  expect([...outputs.keys()]).toEqual(program.outputs);
  return { y: Array.from(outputs.get('y')?.data ?? [], Number), found };
}

test('inputs and results are rounded to float16 on request, operation by operation', async () => {
  const program: SmallProgram = {
    inputs: { x: f32([2], [0.1, 3]) },
    dtype: 'fp16',
    operations: `tensor<fp16, [2]> h = mul(x = x, y = x);
      tensor<fp16, [2]> third = real_div(x = h, y = fp16(3));
      tensor<fp16, [2]> y = mul(x = third, y = fp16(3));`,
    outputs: ['y'],
  };
  const step = (value: number) => new Float16Array([value])[0] ?? 0;
  const expected = [0.1, 3].map((x) => step(step(step(step(x) ** 2) / 3) * 3));
  expect(await rounded(program)).toEqual({ y: expected, found: [] });
  const exact = await runProgram(at('exact.mlpackage'), program);
  expect(exact.get('y')?.data[0]).toBeCloseTo(0.01, 8);
  expect(expected[0]).not.toBeCloseTo(0.01, 6);
});

test('an overflow of float16 is reported where it happens, even if the outputs are finite', async () => {
  const program: SmallProgram = {
    inputs: { x: f32([2], [300, 1]) },
    dtype: 'fp16',
    operations: `tensor<fp16, [2]> square_of_x = square(x = x);
      tensor<fp16, [1, 2]> row = expand_dims(x = square_of_x, axes = tensor<int32, [1]>([0]));
      tensor<fp16, [1, 2]> root = sqrt(x = row);
      tensor<fp16, [1, 2]> y = real_div(x = fp16(1), y = root);`,
    outputs: ['y'],
  };
  expect(await rounded(program)).toEqual({
    y: [0, 1],
    found: [{ path: place, value: 'square_of_x', operation: 'square' }],
  });
  const [, exact] = [...(await runProgram(at('exact2.mlpackage'), program))][0] ?? [];
  expect(exact?.data[0]).toBeCloseTo(1 / 300, 8);
});

test('an input beyond float16 is reported as one', async () => {
  const { found } = await rounded({
    inputs: { x: f32([1], [70000]) },
    dtype: 'fp16',
    operations: 'tensor<fp16, [1]> y = relu(x = x);',
    outputs: ['y'],
  });
  expect(found).toEqual([{ path: place, value: 'x', operation: 'input' }]);
});

test('a mask of −∞ is no overflow, but what overflows behind it is', async () => {
  const masked = `tensor<fp16, [2]> mask = const()[val = tensor<fp16, [2]>([0, -inf])];
    tensor<fp16, [2]> scores = add(x = x, y = mask);
    tensor<bool, [2]> here = greater(x = x, y = fp16(100));
    tensor<fp16, [2]> chosen = select(cond = here, a = fp16(-inf), b = x);
    tensor<fp16, [2]> others = softmax(x = chosen, axis = int32(0));
    tensor<fp16, [2]> h = softmax(x = scores, axis = int32(0));`;
  const program = { inputs: { x: f32([2], [300, 1]) }, dtype: 'fp16', outputs: ['y'] } as const;
  const last = (operation: string) => `${masked}tensor<fp16, [2]> y = ${operation};`;
  expect(await rounded({ ...program, operations: last('add(x = h, y = others)') })).toEqual({
    y: [1, 1],
    found: [],
  });
  const { found } = await rounded({ ...program, operations: last('mul(x = h, y = mask)') });
  expect(found).toEqual([]);
  const overflow = `${masked}tensor<fp16, [2]> big = exp(x = x);tensor<fp16, [2]> y = mul(x = h, y = big);`;
  const behind = await rounded({ ...program, operations: overflow });
  expect(behind.found).toEqual([{ path: place, value: 'big', operation: 'exp' }]);
});

const apples = join(import.meta.dirname, '../../../../shared/goldens/apple-packages');
const recording = join(import.meta.dirname, '../../../../shared/goldens/sd15/unet.safetensors');

test.skipIf(!existsSync(apples) || !existsSync(recording))(
  'packages of Apple’s converter give the numbers that their rounding leaves (needs ../shared)',
  async () => {
    const file = await openSafetensors(recording);
    const bag = new Map<string, TensorData>();
    for (const [name, weight] of file.weights) bag.set(name, await readTensor(weight, weight.dtype));
    await file.close();
    const recorded = bag.get('noise_pred_w16');
    if (recorded?.dtype !== 'f32') throw new Error('nothing was recorded');

    // What is lost is Apple's: the timestep's sinusoids are in float16, and in the second all weights have 6 bits. An
    // independent evaluator of the same packages gives the same to 127 dB.
    for (const [name, decibels] of [
      ['apple_sd15_original_unet', 56.89],
      ['apple_sd15_q6_unet', 31.21],
    ] as const) {
      const runner = await openChain([join(apples, `${name}.mlpackage`)], { optimize: false });
      const output = (await runner.run(feedsFor(runner, bag))).get('noise_pred');
      await runner.close();
      if (output?.dtype !== 'f32') throw new Error('nothing was computed');
      expect(psnr(recorded.data, output.data)).toBeCloseTo(decibels, 1);
    }
  },
);
