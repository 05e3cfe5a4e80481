import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { resolveModel } from '../../src/checkpoint/from-hub/resolve-model.ts';
import { analyze } from '../../src/commands/analyze.ts';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { compilePackage } from '../../src/commands/compile.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { generate } from '../../src/commands/generate.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { validate } from '../../src/commands/validate.ts';
import { verify } from '../../src/commands/verify.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { RequestError } from '../../src/errors.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
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

test('a textual inversion comes from the Hub, too: the only file, or the one that is named', async () => {
  const tensor = { name: '<moss>', dtype: 'f32', shape: [1, 64], data: new Float32Array(64) } as const;
  await writeSafetensors(at('moss.safetensors'), [tensor]);
  const moss = readFileSync(at('moss.safetensors'));
  hub.server.repositories.set('org/moss', repository({ 'README.md': moss, 'moss.safetensors': moss }));
  const request = { prompt: '<moss>', seed: 1, steps: 1, input: at('made/onnx'), output: at('pictures') };
  const notes: string[] = [];
  const onProgress = (event: ProgressEvent) => void (event.type === 'note' && notes.push(event.message));
  for (const file of ['org/moss', 'hf://org/moss/moss.safetensors'])
    await generate({ ...request, textualInversions: [{ file }], hub: hub.options }, { onProgress });
  expect(notes.filter((note) => note.startsWith('<moss>'))).toEqual([]);
  const unused = { ...request, prompt: 'a cat', textualInversions: [{ file: 'org/moss' }], hub: hub.options };
  await generate(unused, { onProgress });
  expect(notes).toContain('<moss> is in no prompt: its textual inversion changes nothing.');
  const learned = { 'learned_embeds.safetensors': moss, 'learned_embeds-steps-500.safetensors': moss };
  hub.server.repositories.set('org/learned', repository(learned));
  const { path } = await resolveModel('org/learned', { ...hub.options, purpose: 'inversion' });
  expect(path.endsWith('learned_embeds.safetensors')).toBe(true);
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

test('models from the Hub are bundled into an output, and only those of the client’s format come', async () => {
  const clients = ['openvino'] as const;
  const request = { folder: 'org/ready', clients, hub: hub.options };
  await expect(bundlePackages(request)).rejects.toThrow('is in the cache of the Hub');
  expect(hub.server.seen).toEqual([]); // refused before anything is downloaded
  await expect(bundlePackages({ ...request, output: at('made') })).rejects.toThrow(
    'holds another conversion',
  );
  const { folder } = await bundlePackages({ ...request, output: at('bundled') });
  expect(folder).toBe(join(at('bundled'), 'onnx-openvino'));
  expect(await verify({ path: at('bundled'), clients })).toMatchObject({ problems: [] });
  expect(filesBelow(hub.options.cacheDir).some((name) => name.includes('.mlpackage'))).toBe(false);
});

test('models on the Hub are held against what a client reads, by their headers', async () => {
  const check = (client: 'optimum' | 'openvino', path = 'org/ready') =>
    verify({ path, clients: [client], hub: hub.options });
  expect(await check('optimum')).toMatchObject({ path: 'hf://org/ready', problems: [] });
  expect(await check('openvino', 'hf://org/ready/onnx')).toMatchObject({
    problems: expect.arrayContaining([
      'openvino: unet: timestep float32 [], and openvino takes timestep int64 [1].',
    ]),
    clients: [{ mend: 'sdconvert bundle hf://org/ready/onnx --for openvino -o OUT' }],
  });
  expect(hub.server.bytesSent).toBeLessThan(3e6);
});

test('a UNet on the Hub is measured with what lies beside it, and nothing else comes', async () => {
  const artifact = 'hf://org/ready/onnx/unet';
  const { path } = await resolveModel(artifact, { ...hub.options, purpose: 'measured' });
  expect(path.endsWith('onnx/unet/model.onnx')).toBe(true);
  const come = filesBelow(dirname(dirname(path))).map((name) => dirname(name));
  expect([...new Set(come)].sort()).toEqual(['.', 'scheduler', 'text_encoder', 'tokenizer', 'unet']);
  const request = { artifact, analysis: at('never.json'), target: { bytes: 1 }, hub: hub.options };
  await expect(analyze({ ...request, inPlace: true })).rejects.toThrow('is in the cache of the Hub');
});

test('weights in several files come all', async () => {
  const files = { 'unet/model.onnx': 1, 'unet/model.onnx_data': 2, 'unet/model.onnx_data_1': 3 };
  const bytes = Object.entries(files).map(([name, value]) => [name, Uint8Array.of(value)]);
  hub.server.repositories.set('org/large', repository(Object.fromEntries(bytes)));
  const { path } = await resolveModel('hf://org/large', { ...hub.options, purpose: 'models' });
  expect(filesBelow(path)).toEqual(Object.keys(files));
});

test('Core AI assets on the Hub are read by their headers, and come whole', async () => {
  const models = ['vae_encoder'] as const;
  await convertCheckpoint({ modelVersion: sdShapes, targets: ['coreai'], models, output: at('assets') });
  const isLfs = (name: string) => name.endsWith('.mlirb');
  hub.server.repositories.set('org/assets', repository(filesIn(at('assets')), { isLfs }));
  const path = 'hf://org/assets/CoreAI/VAEEncoder.aimodel';
  expect(await inspect({ path, hub: hub.options })).toMatchObject({ kind: 'aimodel', path });
  const { clients } = await verify({ path: 'org/assets', clients: ['coreai'], hub: hub.options });
  expect(clients?.[0]?.problems.filter((problem) => problem.includes('VAEEncoder'))).toEqual([]);
  expect(clients?.[0]?.mend).toMatch(/--for coreai -o OUT$/);
  const whole = await resolveModel('org/assets', { ...hub.options, purpose: 'models' });
  expect(filesBelow(whole.path)).toContain('CoreAI/VAEEncoder.aimodel/main.mlirb');
});

test('a revision is refused where nothing is on the Hub, by every command', async () => {
  const pinned = { ...hub.options, revision: 'v1.0' };
  const path = at('made/onnx/vae_encoder');
  for (const refused of [
    inspect({ path, hub: pinned }),
    validate({ artifact: path, reference: sdShapes, hub: pinned }),
    verify({ path: at('made'), clients: ['optimum'], hub: pinned }),
  ])
    await expect(refused).rejects.toThrow(/--revision v1\.0 names a version on the Hub/);
});

test('an address of anything else is refused before anything is asked', async () => {
  for (const path of ['https://civitai.com/models/1', 'https://huggingface.co/datasets/org/name'])
    await expect(inspect({ path, hub: hub.options })).rejects.toThrow(
      /not the address of a model on the Hub/,
    );
  expect(hub.server.seen).toEqual([]);
});
