import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { type ClientName, clientNames } from '../../src/bundle/profiles/profile.ts';
import { clientCalled, isWhatConvertWrites, profiles } from '../../src/bundle/profiles/profiles.ts';
import { refuseUnserved } from '../../src/bundle/profiles/refusals.ts';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { targetsFor } from '../../src/commands/conversion/clients.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { verify } from '../../src/commands/verify.ts';
import { targetNames } from '../../src/formats/format.ts';
import type { TensorMap } from '../../src/formats/runner.ts';
import { createRng } from '../../src/random/random.ts';
import { compare } from '../../src/validate/psnr.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
const temporary = temporaryFolder();
const others = clientNames.filter((client) => !isWhatConvertWrites(client) && client !== 'swift');

let output: string;
beforeAll(async () => {
  output = temporary('out');
  await convertCheckpoint({ modelVersion, output, targets: targetNames });
  await bundlePackages({ folder: output, clients: others });
}, 240_000);

test.each(clientNames)('%s takes what is bundled for it', async (client) => {
  const { problems, files } = await verify({ path: output, clients: [client] });
  expect(problems).toEqual([]);
  expect(files).toBeGreaterThan(5);
});

test('a bundle for a client is byte for byte what a conversion for it writes, and is reused by one', async () => {
  const converted = temporary('converted');
  const clients = ['openvino', 'onnxstack', 'guernika', 'comfyui'] as const;
  await convertCheckpoint({ modelVersion, output: converted, clients });
  for (const client of clients) {
    const { folder } = profiles[client];
    expect(recorded(output, folder)).toEqual(recorded(converted, folder));
  }
  const { artifacts } = await convertCheckpoint({
    modelVersion,
    output,
    clients: ['optimum', 'swift', ...clients],
  });
  expect(artifacts.filter(({ kept }) => !kept)).toEqual([]);
  expect((await verify({ path: output })).problems).toEqual([]);
});

test('ComfyUI’s UNet takes text as diffusers has it, and computes what Apple’s computes', async () => {
  const [name = ''] = readdirSync(join(output, 'comfyui')).filter((each) =>
    /_\d+x64x64_se\.mlpackage$/.test(each),
  );
  const packages = ['Stable_Diffusion_version_sd-shapes_unet.mlpackage', `comfyui/${name}`];
  const rng = createRng('numpy', 3);
  const normal = (...shape: number[]): TensorData => {
    const data = rng.normal(shape.reduce((product, size) => product * size, 1));
    return { dtype: 'f32', shape, data: new Float32Array(data) };
  };
  const inputs: TensorMap = new Map<string, TensorData>([
    ['sample', normal(2, 4, 8, 8)],
    ['timestep', { dtype: 'f32', shape: [2], data: new Float32Array([481, 481]) }],
    ['encoder_hidden_states', normal(2, 77, 64)],
  ]);
  const [own, comfy] = await Promise.all(
    packages.map((path) => runArtifacts({ artifacts: [join(output, path)], inputs })),
  );
  const [a, b] = [own?.get('noise_pred'), comfy?.get('noise_pred')];
  if (!a || !b) throw new Error('there is no noise_pred');
  expect(compare(a, b).psnr).toBe(Number.POSITIVE_INFINITY);
  const weights = 'Data/com.apple.CoreML/weights/weight.bin';
  const [first, second] = packages.map((path) => statSync(join(output, path, weights)).ino);
  expect(first).toBe(second);
});

test('verify names what a client would refuse, and the command that mends it', async () => {
  const folder = temporary('refused by some');
  cpSync(join(output, 'onnx'), folder, { recursive: true });
  const check = async (client: ClientName) =>
    (await verify({ path: folder, clients: [client] })).clients?.[0];
  const found = await check('openvino');
  expect(found?.problems).toEqual([
    'unet: timestep float32 [], and openvino takes timestep int64 [1].',
    'scheduler/scheduler_config.json names DPMSolverMultistepScheduler, which openvino has not.',
  ]);
  expect(found?.mend).toBe(`sdconvert bundle '${folder}' --for openvino`);
  expect(await check('optimum')).toMatchObject({ problems: [] });

  const scheduler = join(folder, 'scheduler/scheduler_config.json');
  writeFileSync(scheduler, readFileSync(scheduler, 'utf8').replace('{', '{"lambda_min_clipped": -Infinity,'));
  expect((await check('optimum'))?.problems).toEqual([
    'scheduler/scheduler_config.json is not strict JSON (NaN and Infinity are Python’s), and optimum refuses it.',
  ]);
  writeFileSync(scheduler, readFileSync(scheduler).subarray(0, 100));
  expect((await check('optimum'))?.problems).toEqual([
    'scheduler/scheduler_config.json is no JSON, but cut short or damaged, and optimum refuses it.',
  ]);
  rmSync(join(folder, 'vae_encoder'), { recursive: true });
  renameSync(join(folder, 'unet/model.onnx_data'), join(folder, 'unet/weights'));
  const broken = await check('diffusers-js');
  expect(broken?.problems).toContain('vae_encoder/model.onnx is missing.');
  expect(broken?.problems).toContain('unet: Its weights are missing: there is no model.onnx_data beside it.');
  // The folder is no conversion: nothing is converted into it.
  expect(broken?.mend).toBe('sdconvert convert --model-version CHECKPOINT --for diffusers-js -o OUT');
});

test('a folder that has a client’s own file names alone is held against these', async () => {
  const folder = temporary('flat');
  mkdirSync(folder);
  const { flatNames } = profiles['webnn-sd15'];
  const own = join(output, profiles['webnn-sd15'].folder);
  for (const name of readdirSync(own).filter((each) => Object.values(flatNames ?? {}).includes(each)))
    cpSync(join(own, name), join(folder, name));
  const problems = async () => (await verify({ path: folder, clients: ['webnn-sd15'] })).problems;
  expect(await problems()).toEqual([]);
  cpSync(join(output, 'onnx/vae_decoder/model.onnx'), join(folder, flatNames?.vae_decoder ?? ''));
  rmSync(join(folder, flatNames?.unet ?? ''));
  const found = await problems();
  expect(found).toContain(`webnn-sd15: ${flatNames?.unet} is missing.`);
  expect(found.join()).toContain('vae_decoder: latent_sample float32 [batch_size, 4, latent_height');
});

test('Guernika does not load a UNet of Apple’s ControlNets', async () => {
  const folder = temporary('controlled only');
  cpSync(join(output, 'Resources'), folder, { recursive: true });
  renameSync(join(folder, 'Unet.mlmodelc'), join(folder, 'ControlledUnet.mlmodelc'));
  expect((await verify({ path: folder, clients: ['swift', 'mochi', 'guernika'] })).problems).toEqual([
    'guernika: there is no Unet.mlmodelc, and no UnetChunk1.mlmodelc with UnetChunk2.mlmodelc.',
  ]);
});

test('verify names ControlNets that Mochi would not offer', async () => {
  const folder = temporary('controlled');
  cpSync(join(output, 'Resources'), folder, { recursive: true });
  cpSync(join(folder, 'Unet.mlmodelc'), join(folder, 'controlnet/Canny.mlmodelc'), { recursive: true });
  const [own] = JSON.parse(readFileSync(join(folder, 'Unet.mlmodelc/metadata.json'), 'utf8'));
  const problems = async (name: string, shape: string, operations = own.mlProgramOperationTypeHistogram) => {
    const inputSchema = [{ ...own.inputSchema[0], name, shape }];
    const metadata = { ...own, inputSchema, mlProgramOperationTypeHistogram: operations };
    writeFileSync(join(folder, 'controlnet/Canny.mlmodelc/metadata.json'), JSON.stringify([metadata]));
    return (await verify({ path: folder, clients: ['mochi'] })).problems;
  };
  expect(await problems('controlnet_cond', '[2, 3, 64, 64]')).toEqual([]);
  expect(await problems('controlnet_cond', '[2, 3, 64, 128]', {})).toEqual([
    'mochi: controlnet/Canny is for 64 × 128 pixels, and mochi offers it for models of that size: this is 64 × 64.',
    'mochi: controlnet/Canny has another attention than Unet, so mochi does not offer it for this model.',
  ]);
  expect(await problems('sample', '[2, 4, 8, 8]')).toEqual([
    'mochi: controlnet/Canny has no input controlnet_cond with a size.',
  ]);
});

test('verify reads metadata.json as Mochi and Guernika read it', async () => {
  const folder = temporary('apps');
  const check = async (client: ClientName) => (await verify({ path: folder, clients: [client] })).problems;
  const change = (name: string, edit: (text: string) => string) => {
    const file = join(folder, `${name}.mlmodelc/metadata.json`);
    writeFileSync(file, edit(readFileSync(file, 'utf8')));
  };
  const fresh = () => cpSync(join(output, 'Resources'), folder, { recursive: true, force: true });

  fresh();
  change('Unet', (text) => text.replace('Ios16.einsum', 'Ios17.einsum'));
  expect((await check('mochi'))[0]).toMatch(
    /^mochi: Unet has Ios17\.einsum operations, so mochi takes its attention for ORIGINAL/,
  );
  fresh();
  change('Unet', (text) => text.replace('"isOptional" : "0"', '"isOptional" : 0'));
  expect((await check('mochi'))[0]).toMatch(
    /^mochi: Unet\.mlmodelc\/metadata\.json: 0\.inputSchema\.0\.isOptional is 0, which no compiler writes\.$/,
  );
  fresh();
  change('Unet', (text) => text.replace('"mlProgramOperationTypeHistogram"', '"histogram"'));
  expect((await check('mochi'))[0]).toBe(
    'mochi: Unet.mlmodelc/metadata.json has no 0.mlProgramOperationTypeHistogram.',
  );
  fresh();
  change('Unet', (text) => text.slice(1, -1));
  expect(await check('mochi')).toEqual(['mochi: Unet.mlmodelc/metadata.json is no list of models.']);
  fresh();
  change('VAEEncoder', (text) => text.replace('"[1, 3, 64, 64]"', '"[1, 64, 64, 3]"'));
  expect(await check('mochi')).toEqual([
    'mochi: VAEEncoder takes [1, 64, 64, 3], and mochi reads the size from [1, 3, height, width].',
  ]);
  expect(await check('swift')).toEqual([]);
  fresh();
  change('Unet', (text) => text.replace('"[2, 64, 1, 77]"', '"[2, 77, 64]"'));
  expect(await check('guernika')).toEqual([
    'guernika: Unet: encoder_hidden_states is not [B, C, 1, S], where guernika finds the width of the text.',
  ]);
  rmSync(join(folder, 'merges.txt'));
  expect(await check('swift')).toEqual(['swift: merges.txt is missing.']);
});

test('a model that predicts v says so to Guernika, however it is bundled', async () => {
  const checkpoint = temporary('v/sd-shapes');
  cpSync(modelVersion, checkpoint, { recursive: true });
  const config = join(checkpoint, 'scheduler/scheduler_config.json');
  writeFileSync(config, readFileSync(config, 'utf8').replace('"epsilon"', '"v_prediction"'));
  const out = temporary('v/out');
  await convertCheckpoint({ modelVersion: checkpoint, output: out, clients: ['swift', 'guernika'] });
  const metadata = (folder: string) =>
    JSON.parse(readFileSync(join(out, folder, 'Unet.mlmodelc/metadata.json'), 'utf8'))[0].userDefinedMetadata;
  expect(metadata('guernika')).toMatchObject({
    prediction_type: 'v_prediction',
    hidden_size: '64',
    requires_aesthetics_score: 'false',
  });
  // The same models without it are refused.
  rmSync(join(out, 'guernika'), { recursive: true });
  cpSync(join(out, 'Resources'), join(out, 'guernika'), { recursive: true });
  const { problems } = await verify({ path: out, clients: ['guernika'] });
  expect(problems).toEqual(['guernika: Unet does not say that it predicts v, so guernika would draw noise.']);
  await bundlePackages({ folder: out, clients: ['guernika'] });
  expect((await verify({ path: out, clients: ['guernika'] })).problems).toEqual([]);
});

test('unknown clients, impossible targets and unserved checkpoints are refused in a sentence', async () => {
  expect(() => clientCalled('openvno')).toThrow('Did you mean openvino? Choose from optimum, ort-web,');
  expect(() => targetsFor(['openvino'], ['coreml'])).toThrow(
    'openvino loads onnx models, and --target coreml writes none.',
  );
  expect(targetsFor(['mochi', 'ort-web'], undefined)).toEqual(['onnx', 'coreml']);
  const xl = { name: 'my-xl', isXl: true };
  expect(() => refuseUnserved(['optimum', 'ort-web'], xl)).toThrow('ort-web does not load my-xl');
  const empty = temporary('empty');
  mkdirSync(empty);
  await expect(bundlePackages({ folder: empty, clients: ['openvino'] })).rejects.toThrow(
    'has no text_encoder, without which openvino cannot draw',
  );
});

/** Files on record below a folder, with their hashes. */
function recorded(folder: string, below: string): Record<string, string> {
  const { artifacts } = JSON.parse(readFileSync(join(folder, 'sdconvert.json'), 'utf8'));
  const files: Record<string, string> = {};
  for (const [path, record] of Object.entries<{ files: { name: string; sha256: string }[] }>(artifacts))
    if (path === below || path.startsWith(`${below}/`))
      for (const { name, sha256 } of record.files) files[`${path}/${name}`] = sha256;
  expect(Object.keys(files).length).toBeGreaterThan(5);
  return files;
}
