import { expect, test } from 'vitest';
import { checkRequest } from '../../src/commands/check-request.ts';
import { RequestError } from '../../src/errors.ts';
import * as sdconvert from '../../src/index.ts';
import { rejectionOf } from '../support/thrown-by.ts';

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

test.each([
  ['convert', { modelVersion: 5 }, 'modelVersion is wrong'],
  ['convert', { modelVersion: 'x', targets: ['tflite'] }, 'targets.0 is wrong'],
  ['convert', { modelVersion: 'x', minPsnr: Number.NaN }, 'minPsnr is wrong'],
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
  ['generate', { input: 'x', prompt: '' }],
  ['generate', { input: 'x', prompt: ['a cat', ''], negativePrompt: '' }],
  ['web', { folder: 'x', prompt: '' }],
  ['analyze', { artifact: 'x', prompts: [''] }],
] as const)('%s of %j may have an empty prompt', (command, options) => {
  expect(() => checkRequest(command, options)).not.toThrow();
});
