import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { compilePackage } from '../../src/commands/compile.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { generate } from '../../src/commands/generate.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { validate } from '../../src/commands/validate.ts';
import { RequestError } from '../../src/errors.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { repository } from '../support/hub-checkpoint.ts';
import { filesBelow, hubFixture } from '../support/hub-fixture.ts';
import { filesIn, sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const hub = hubFixture();
const at = temporaryFolder();
const shapes = filesIn(sdShapes);
let converted: Readonly<Record<string, Uint8Array>> = {};
const encoder = 'Stable_Diffusion_version_sd-shapes_vae_encoder.mlpackage';

beforeAll(async () => {
  await convertCheckpoint({ modelVersion: sdShapes, targets: ['onnx'], output: at('made') });
  await convertCheckpoint({
    modelVersion: sdShapes,
    targets: ['coreml'],
    models: ['vae_encoder'],
    bundle: false,
    output: at('made'),
  });
  converted = filesIn(at('made'));
});

beforeEach(() => {
  hub.server.repositories.set('org/shapes', repository(shapes));
  const isLfs = (name: string) => /\.(onnx|onnx_data|bin)$/.test(name);
  hub.server.repositories.set('org/ready', repository(converted, { isLfs }));
});

test('inspect describes a checkpoint by its headers, and a part of it by its address', async () => {
  const whole = await inspect({ path: 'org/shapes', hub: hub.options });
  expect(whole).toMatchObject({
    kind: 'checkpoint',
    path: 'hf://org/shapes',
    problems: [],
    next: { command: 'sdconvert convert --model-version hf://org/shapes' },
  });
  const vae = await inspect({ path: `${hub.server.url}/org/shapes/tree/main/vae`, hub: hub.options });
  expect(vae).toMatchObject({ kind: 'weights', path: 'hf://org/shapes/vae', className: 'AutoencoderKL' });
  expect(JSON.stringify([whole, vae])).not.toContain(hub.options.cacheDir);
  expect(hub.server.bytesSent).toBeLessThan(2.1e6); // the vocabulary and headers, of 21 MB
});

test('inspect describes ready-made models, whole and one by one', async () => {
  const { kind } = await inspect({ path: 'org/ready', hub: hub.options });
  expect(kind).toBe('artifacts');
  const one = await inspect({ path: `hf://org/ready/${encoder}`, hub: hub.options });
  expect(one).toMatchObject({ kind: 'mlpackage', path: `hf://org/ready/${encoder}`, problems: [] });
  const onnx = await inspect({ path: 'hf://org/ready/onnx/unet/model.onnx', hub: hub.options });
  expect(onnx).toMatchObject({ kind: 'onnx', problems: [] });
});

test('a model is compared with a checkpoint on the Hub, itself from there', async () => {
  const artifact = `hf://org/ready/${encoder}`;
  const [verdict] = await validate({ artifact, reference: 'hf://org/shapes', hub: hub.options });
  expect(verdict).toMatchObject({ model: 'vae_encoder', pass: true });
  expect(filesBelow(hub.options.cacheDir).some((name) => /ready.*unet/.test(name))).toBe(false);
});

test('pictures are drawn with models from the Hub', async () => {
  const request = { prompt: 'a red circle', seed: 1, steps: 1, output: at('pictures') } as const;
  const [picture] = await generate({ ...request, input: 'hf://org/ready/onnx', hub: hub.options });
  expect(picture).toMatchObject({ width: 64, height: 64 });
});

test('a model from the Hub is quantised into an output, never beside it in the cache', async () => {
  const artifact = 'hf://org/ready/onnx/vae_encoder/model.onnx';
  const plan = planQuantization({ bits: 8 });
  const { path } = await quantizeArtifact({ artifact, plan, output: at('less'), hub: hub.options });
  expect(readdirSync(path)).toContain('model.onnx');
  for (const beside of [
    quantizeArtifact({ artifact, plan, inPlace: true, hub: hub.options }),
    compilePackage({ package: `hf://org/ready/${encoder}`, hub: hub.options }),
  ])
    await expect(beside).rejects.toThrow(RequestError);
  await compilePackage({
    package: `hf://org/ready/${encoder}`,
    output: join(at('less'), 'E.mlmodelc'),
    hub: hub.options,
  });
});

test('an address of anything else is refused before anything is asked', async () => {
  for (const path of ['https://civitai.com/models/1', 'https://huggingface.co/datasets/org/name'])
    await expect(inspect({ path, hub: hub.options })).rejects.toThrow(
      /not the address of a model on the Hub/,
    );
  expect(hub.server.seen).toEqual([]);
});
