import { statSync, truncateSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import type { ClientName } from '../../../src/bundle/profiles/profile.ts';
import type { ConvertOptions } from '../../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../../src/commands/convert.ts';
import { verify } from '../../../src/commands/verify.ts';
import { sdShapes } from '../../support/sd-shapes.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const at = temporaryFolder();
const convert = (client: ClientName, options: Partial<ConvertOptions> = {}) =>
  convertCheckpoint({
    modelVersion: sdShapes,
    output: at('out'),
    models: ['vae_encoder'],
    clients: [client],
    ...options,
  });
const dataOf = (folder: string) => statSync(at(`out/${folder}/vae_encoder/model.onnx_data`));

beforeAll(() => convert('optimum'));

test('a conversion for another client, later, shares the weights of the first', async () => {
  const planned = await convert('openvino', { dryRun: true });
  expect(planned.artifacts).toMatchObject([{ kept: false, twin: { path: 'onnx/vae_encoder' } }]);
  await convert('openvino');
  expect(dataOf('onnx-openvino').ino).toBe(dataOf('onnx').ino);
  expect((await verify({ path: at('out') })).problems).toEqual([]);
});

test('never those of other options, or of damaged files', async () => {
  const other = await convert('diffusers-js', { precision: 'float16-weights', dryRun: true });
  expect(other.artifacts[0]?.twin).toBeUndefined();
  truncateSync(at('out/onnx/vae_encoder/model.onnx'), 100);
  truncateSync(at('out/onnx-openvino/vae_encoder/model.onnx'), 100);
  await convert('diffusers-js');
  expect(dataOf('onnx-diffusers-js').ino).not.toBe(dataOf('onnx').ino);
});
