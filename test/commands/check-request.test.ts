import { expect, test } from 'vitest';
import { checkRequest } from '../../src/commands/check-request.ts';
import { RequestError, SdConvertError } from '../../src/errors.ts';
import * as sdconvert from '../../src/index.ts';
import { rejectionOf, thrownBy } from '../support/thrown-by.ts';

const commands = [
  ['analyze', 'artifact'],
  ['bundle', 'folder'],
  ['chunk', 'artifact'],
  ['compile', 'package'],
  ['convert', 'modelVersion'],
  ['download', 'repo'],
  ['generate', 'input'],
  ['inspect', 'path'],
  ['quantize', 'artifact'],
  ['run', 'artifacts'],
  ['validate', 'artifact'],
  ['verify', 'path'],
] as const;

test.each(commands)('%s without anything says what is missing', async (command, field) => {
  // as: what JavaScript lets people do.
  const call = Reflect.get(sdconvert, command) as (options?: object) => Promise<unknown>;
  const error = await rejectionOf(call({}));
  expect(error).toBeInstanceOf(RequestError);
  expect(error).toMatchObject({ problem: `${command} was called wrongly: ${field} is missing.` });
  await expect(call()).rejects.toThrow(`${command} was called wrongly: the request is missing.`);
});

test('a name that is nearly one of those that are allowed is asked back', async () => {
  const call = sdconvert.convert({ modelVersion: 'x', targets: ['CoreAI' as 'coreai'] }); // as: see above
  await expect(call).rejects.toMatchObject({ advice: 'Did you mean coreai?' });
});

test.each([
  ['convert', { modelVersion: 5 }, 'modelVersion is wrong'],
  ['convert', { modelVersion: 'x', targets: ['tflite'] }, 'targets.0 is wrong'],
  ['convert', { modelVersion: 'x', minPsnr: Number.NaN }, 'minPsnr is wrong'],
  ['convert', { modelVersion: 'x', loras: 'style.safetensors' }, 'loras is wrong'],
  ['convert', { modelVersion: 'x', loras: [{ path: 'x', scale: '1' }] }, 'loras.0.scale is wrong'],
  ['convert', { modelVersion: 'x', controlnets: 'canny' }, 'controlnets is wrong'],
  ['convert', { modelVersion: 'x', sizes: { latentHeight: 'a' } }, 'sizes.latentHeight is wrong'],
  ['convert', { modelVersion: 'x', deployment: 'iOS17' }, 'deployment is wrong'],
  ['convert', { modelVersion: 'x', quantization: 6 }, 'quantization is wrong'],
  ['inspect', { path: 'x', hub: 'https://huggingface.co' }, 'hub is wrong'],
  ['analyze', { artifact: 'x', target: 40 }, 'target is wrong'],
  ['bundle', { folder: 'x', compiler: 'xcode' }, 'compiler is wrong'],
  ['generate', { input: 'x', prompt: 'y', steps: '30' }, 'steps is wrong'],
  ['run', { artifacts: 'unet', inputs: new Map() }, 'artifacts is wrong'],
  ['run', { artifacts: ['unet'], inputs: { sample: [1] } }, 'inputs is wrong'],
  [
    'run',
    {
      artifacts: ['unet'],
      inputs: new Map([['x', { dtype: 'F32', shape: [1], data: new Float32Array(1) }]]),
    },
    'inputs.x.dtype is wrong',
  ],
] as const)('%s of %j names the field', (command, options, problem) => {
  expect(() => checkRequest(command, options)).toThrow(`${command} was called wrongly: ${problem}.`);
});

test.each([
  ['generate', { input: 'x', prompt: 'y', seed: 'z' }, { found: 'z', expected: 'a number or a list' }],
  ['generate', { input: 'x', prompt: 'y', seed: ['z'] }, { found: 'a list', expected: 'a number as 0' }],
  ['generate', { input: 'x', prompt: 5 }, { found: '5', expected: 'a text or a list' }],
  ['convert', { modelVersion: 'x', minPsnr: null }, { found: 'null', expected: 'a number or -Infinity' }],
  ['analyze', { artifact: 'x', target: 40 }, { found: '40', expected: 'keys and values' }],
  [
    'analyze',
    { artifact: 'x', target: { bytes: '1' } },
    { expected: 'a number as psnr or a number as bytes' },
  ],
] as const)('%s of %j says what it takes instead', (command, options, details) => {
  expect(thrownBy(() => checkRequest(command, options)).details).toMatchObject(details);
});

test.each([
  ['generate', { input: 'x', prompt: '' }],
  ['generate', { input: 'x', prompt: ['a cat', ''], negativePrompt: '' }],
  ['web', { folder: 'x', prompt: '' }],
  ['analyze', { artifact: 'x', prompts: [''] }],
] as const)('%s of %j may have an empty prompt', (command, options) => {
  expect(() => checkRequest(command, options)).not.toThrow();
});

/** Those that take nothing. */
const withoutArguments = ['allSchedulers'];

const functions = Object.entries(sdconvert).flatMap(([name, value]) => {
  const isFunction = typeof value === 'function' && !/^class /.test(Function.prototype.toString.call(value));
  return isFunction && !withoutArguments.includes(name) ? [[name, value] as const] : [];
});

test.each(functions)(
  '%s called with nothing, or with what it cannot use, says what is wrong',
  async (_, called) => {
    // as: what JavaScript lets people do.
    const call = called as (...args: readonly unknown[]) => unknown;
    const answer = (...args: readonly unknown[]) => rejectionOf(Promise.resolve().then(() => call(...args)));
    expect(await answer()).toBeInstanceOf(RequestError);
    for (const arg of [null, true, {}]) expect(await answer(arg, arg, arg)).toBeInstanceOf(SdConvertError);
  },
);

const noText = { toString: 1, valueOf: 1 };
const tensor = (shape: number[]) => ({ dtype: 'f32', shape, data: new Float32Array(2) }) as const;
const picture = { width: 8, height: 8, channels: 3, data: new Uint8Array(192) } as const;

// as: what JavaScript lets people do.
test.each<[call: string, () => unknown]>([
  ['createRng of no kind', () => sdconvert.createRng(noText as never, 1)],
  ['createRng of no seed', () => sdconvert.createRng('numpy', noText as never)],
  ['createRng of a symbol', () => sdconvert.createRng(Symbol('x') as never, Symbol('x') as never)],
  ['guidanceEmbedding of −1 channels', () => sdconvert.guidanceEmbedding(1, -1)],
  ['guidanceEmbedding of too many', () => sdconvert.guidanceEmbedding(1, 1e300)],
  ['clipInput of no size', () => sdconvert.clipInput(picture, -1)],
  [
    'timeIds of too many rows',
    () => sdconvert.timeIds({ original: [1, 1], crop: [0, 0], target: [1, 1] }, 1e300),
  ],
  ['expandInversions of none', () => sdconvert.expandInversions('a', [null] as never)],
  ['expandInversions of a map', () => sdconvert.expandInversions('a', new Map() as never)],
  ['encodePng of too few bytes', () => sdconvert.encodePng({ ...picture, height: 2 ** 31 })],
  ['compare of too few numbers', () => sdconvert.compare(tensor([2 ** 31]), tensor([2]))],
  ['contactSheet of none', () => sdconvert.contactSheet([null] as never, 1)],
  ['contactSheet of no label', () => sdconvert.contactSheet([{ image: picture, label: noText as never }], 1)],
  ['pictureName of no index', () => sdconvert.pictureName({ prompt: 'a', seed: 1, index: noText as never })],
  ['planRecipe of a list', () => sdconvert.planRecipe([null] as never)],
  ['withTexts of no PNG', () => sdconvert.withTexts(new Uint8Array(3), {})],
  ['withTexts of no text', () => sdconvert.withTexts(sdconvert.encodePng(picture), { a: 5 } as never)],
  ['withTexts of no keyword', () => sdconvert.withTexts(sdconvert.encodePng(picture), { '': 'x' })],
  [
    'withTexts of a long keyword',
    () => sdconvert.withTexts(sdconvert.encodePng(picture), { [`${'k'.repeat(80)}`]: 'x' }),
  ],
])('%s is told in a sentence', (_, call) => {
  const error = thrownBy(call);
  expect(error).toBeInstanceOf(RequestError);
  expect(error.message).not.toMatch(/\[object |\bundefined\b/);
});

// as: what JavaScript lets people do.
test.each<[problem: string, call: () => unknown]>([
  ['writeSafetensors was called wrongly: tensors is wrong.', () => sdconvert.writeSafetensors('x', {} as [])],
  [
    'writeSafetensors was called wrongly: tensors.0 is wrong.',
    () => sdconvert.writeSafetensors('x', [null] as never),
  ],
  ['psnr was called wrongly: reference is missing.', () => sdconvert.psnr(undefined as never, [1])],
  ['psnr was called wrongly: candidate is wrong.', () => sdconvert.psnr([1], 5 as never)],
  [
    'compare was called wrongly: reference.dtype is missing.',
    () => sdconvert.compare({} as never, {} as never),
  ],
  ['encodePng was called wrongly: image.width is missing.', () => sdconvert.encodePng({} as never)],
  [
    'ClipTokenizer.fromFiles was called wrongly: files.vocab is missing.',
    () => sdconvert.ClipTokenizer.fromFiles({} as never),
  ],
])('%s', async (problem, call) => {
  const error = await rejectionOf(Promise.resolve().then(call));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.problem).toBe(problem);
});
