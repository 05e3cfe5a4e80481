import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { clientNames } from '../../src/bundle/profiles/profile.ts';
import { profiles } from '../../src/bundle/profiles/profiles.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { generate } from '../../src/commands/generate.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { verify } from '../../src/commands/verify.ts';
import type { TensorMap } from '../../src/formats/runner.ts';
import { createRng } from '../../src/random/random.ts';
import { psnr } from '../../src/validate/psnr.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { numbersOf } from '../../src/weights/tensor-values.ts';
import { writeModels } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { writeXlCheckpoint } from '../support/xl-checkpoint.ts';

/** Stable Diffusion XL in the form of every client that draws with it. */

const at = temporaryFolder();
const clients = clientNames.filter((client) => profiles[client].networks.includes('text_encoder_2'));

beforeAll(async () => {
  const modelVersion = writeXlCheckpoint(at('xl'));
  const sizes = { latentHeight: 8, latentWidth: 8 };
  await convertCheckpoint({ modelVersion, output: at('out'), clients, sizes, precision: 'float32' });
}, 240_000);

test('the others say that they cannot draw with it', async () => {
  const others = clientNames.filter((client) => !clients.includes(client));
  expect(others).toEqual(['ort-web', 'webnn-sd15']);
  // No command is announced, for none mends that.
  for (const { problems, mend } of (await verify({ path: at('out'), clients: others })).clients ?? []) {
    expect(problems.length).toBeGreaterThan(0);
    expect(mend).toBeUndefined();
  }
});

test.each(clients)('%s takes it as it is written', async (client) => {
  expect((await verify({ path: at('out'), clients: [client] })).problems).toEqual([]);
});

test('what they need of it beside one text encoder is missed', async () => {
  const onnx = at('lacking');
  cpSync(at('out/onnx'), onnx, { recursive: true });
  rmSync(join(onnx, 'tokenizer_2/merges.txt'));
  // Of Stable Diffusion 1, which gives no hidden states.
  await writeModels(onnx, { models: ['text_encoder'] });
  expect((await verify({ path: onnx, clients: ['optimum'] })).problems).toEqual([
    'optimum: text_encoder has no outputs hidden_states.0, hidden_states.1, …, of which Stable Diffusion XL reads the last but one.',
    'optimum: tokenizer_2/merges.txt is missing.',
  ]);
  const compiled = at('lacking apps');
  cpSync(at('out/Resources'), compiled, { recursive: true });
  rmSync(join(compiled, 'TextEncoder.mlmodelc'), { recursive: true });
  expect((await verify({ path: compiled, clients: ['swift', 'guernika'] })).problems).toEqual([
    'swift: TextEncoder.mlmodelc is missing.',
    'guernika: TextEncoder.mlmodelc is missing.',
    'guernika: TextEncoder2 has no output last_hidden_state, which guernika reads.',
  ]);
});

test('Guernika’s text encoders give what Apple’s give, under the name that it reads', async () => {
  const tokens = {
    dtype: 'f32',
    shape: [1, 77],
    data: Float32Array.from({ length: 77 }, (_, i) => i),
  } as const;
  for (const encoder of ['TextEncoder', 'TextEncoder2']) {
    const run = (folder: string) =>
      runArtifacts({
        artifacts: [at('out', folder, `${encoder}.mlmodelc`)],
        inputs: new Map([['input_ids', tokens]]),
      });
    const [apple, own] = [await run('Resources'), await run('guernika')];
    expect([...own.keys()].sort()).toEqual(['last_hidden_state', 'pooled_outputs']);
    expect(own.get('last_hidden_state')).toEqual(apple.get('hidden_embeds'));
    expect(own.get('pooled_outputs')).toEqual(apple.get('pooled_outputs'));
  }
  const draw = async (folder: string) => {
    const output = at('drawn', folder);
    const request = { input: at('out', folder), output, prompt: 'a', seed: 1, steps: 1 };
    const [picture] = await generate(request);
    return readFileSync(picture?.path ?? '');
  };
  expect(await draw('guernika')).toEqual(await draw('Resources'));
});

const rng = createRng('numpy', 5);
const normal = (...shape: number[]): TensorData => {
  const data = rng.normal(shape.reduce((product, size) => product * size, 1));
  return { dtype: 'f32', shape, data: new Float32Array(data) };
};

const unetInputs: TensorMap = new Map<string, TensorData>([
  ['sample', normal(2, 4, 8, 8)],
  ['timestep', { dtype: 'f32', shape: [1], data: Float32Array.of(481) }],
  ['encoder_hidden_states', normal(2, 77, 112)],
  ['text_embeds', normal(2, 64)],
  [
    'time_ids',
    { dtype: 'f32', shape: [2, 6], data: Float32Array.from({ length: 12 }, (_, i) => (i % 6 < 2 ? 64 : 0)) },
  ],
]);

test.each(clients.filter((client) => profiles[client].target === 'onnx' && client !== 'optimum'))(
  '%s computes what optimum computes',
  async (client) => {
    const run = async (folder: string, network: string, inputs: TensorMap) =>
      runArtifacts({ artifacts: [at('out', folder, network)], inputs });
    const input_ids: TensorData = {
      dtype: 'i32',
      shape: [1, 77],
      data: Int32Array.from({ length: 77 }, (_, i) => i),
    };
    const tokens: TensorMap = new Map([['input_ids', input_ids]]);
    for (const [network, inputs] of [
      ['text_encoder', tokens],
      ['text_encoder_2', tokens],
      ['vae_decoder', new Map([['latent_sample', normal(1, 4, 8, 8)]])],
      ['unet', unetInputs],
    ] as const) {
      const [expected, found] = [
        await run('onnx', network, inputs),
        await run(profiles[client].folder, network, inputs),
      ];
      expect(found.size, network).toBeGreaterThan(0);
      for (const [name, tensor] of found) {
        const own = expected.get(name);
        if (own) expect(psnr(numbersOf(own), numbersOf(tensor)), `${network} ${name}`).toBeGreaterThan(100);
      }
    }
  },
);
