import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { type ClientName, clientNames } from '../../src/bundle/profiles/profile.ts';
import { profiles } from '../../src/bundle/profiles/profiles.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { verify } from '../../src/commands/verify.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { type NetworkKind, networkKind } from '../../src/convert/networks/networks.ts';
import { withArtifact } from '../../src/formats/open.ts';
import type { TensorMap } from '../../src/formats/runner.ts';
import { createRng } from '../../src/random/random.ts';
import { compare } from '../../src/validate/psnr.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { convertTensor, numbersOf } from '../../src/weights/tensor-values.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
const temporary = temporaryFolder();
const onnxClients = clientNames.filter((client) => profiles[client].target === 'onnx');
const others = onnxClients.filter((client) => client !== 'optimum');

const notes: string[] = [];
let float16: string;
let float32: string;
beforeAll(async () => {
  [float16, float32] = [temporary('float16'), temporary('float32')];
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'note') notes.push(event.message);
  };
  await convertCheckpoint({ modelVersion, output: float16, clients: onnxClients }, { onProgress });
  await convertCheckpoint({ modelVersion, output: float32, clients: onnxClients, precision: 'float32' });
}, 240_000);

test.each(others)(
  '%s gets models that compute what optimum’s compute',
  { timeout: 240_000 },
  async (client) => {
    for (const network of networksIn(client)) {
      // Where the edges have float16 it rounds what goes in and comes out. The others are exact, as measured.
      if (client === 'webnn-sd15')
        expect(await distance(float32, client, network), network).toBeGreaterThan(75);
      else {
        expect(await distance(float32, client, network), network).toBeGreaterThan(100);
        expect(await distance(float16, client, network), network).toBeGreaterThan(100);
      }
    }
  },
);

test('each client’s models declare what its source asks for', async () => {
  const declared = async (client: ClientName, network: NetworkKind) => {
    const path = join(float16, profiles[client].folder, network);
    return withArtifact(path, async (artifact) => {
      const { inputs, outputs } = await artifact.facts();
      return [...inputs, ...outputs].map(
        ({ name, dtype, shape }) => `${name} ${dtype} [${shape?.join(', ')}]`,
      );
    });
  };
  expect(await declared('ort-web', 'text_encoder')).toEqual([
    'input_ids int32 [batch_size, 77]',
    'last_hidden_state float32 [batch_size, 77, 64]',
  ]);
  expect(await declared('ort-web', 'unet')).toEqual([
    'sample float32 [batch_size, 4, height, width]',
    'timestep int64 [1]',
    'encoder_hidden_states float32 [batch_size, sequence_length, 64]',
    'out_sample float32 [batch_size, 4, height, width]',
  ]);
  expect(await declared('ort-web', 'vae_decoder')).toEqual([
    'latent_sample float32 [batch_size, 4, height_latent, width_latent]',
    'sample float32 [batch_size, 3, height_latent * 8, width_latent * 8]',
  ]);
  expect(await declared('openvino', 'unet')).toContain('timestep int64 [1]');
  expect(await declared('openvino', 'text_encoder')).toContain('input_ids int64 [batch_size, 77]');
  expect(await declared('diffusers-js', 'unet')).toContain('timestep float32 [1]');
  expect(await declared('onnxstack', 'vae_encoder')).toEqual([
    'sample float32 [batch_size, 3, sample_height, sample_width]',
    'latent_sample float32 [batch_size, 4, sample_height / 8, sample_width / 8]',
  ]);
  expect(await declared('webnn-sd15', 'unet')).toEqual([
    'sample float16 [2, 4, 64, 64]',
    'timestep int64 [2]',
    'encoder_hidden_states float16 [2, 77, 64]',
    'out_sample float16 [2, 4, 64, 64]',
  ]);
  expect(await declared('webnn-sd15', 'vae_decoder')).toContain('sample float16 [1, 3, 512, 512]');
});

test('a second client costs kilobytes: its weights are the same files on the disk', () => {
  for (const client of others) {
    const data = profiles[client].form?.onnx?.data;
    const folder = join(float16, profiles[client].folder, 'unet');
    if (data === null) {
      // One file, as the client loads it.
      expect(statSync(join(folder, 'model.onnx')).size).toBeGreaterThan(10e6);
      continue;
    }
    const own = statSync(join(folder, data ?? ''));
    expect(own.ino, client).toBe(statSync(join(float16, 'onnx/unet/model.onnx_data')).ino);
  }
});

test('a scheduler that a client lacks is replaced, and said once', () => {
  const read = (client: ClientName, file: string) =>
    JSON.parse(readFileSync(join(float16, profiles[client].folder, file), 'utf8'));
  const own = read('optimum', 'scheduler/scheduler_config.json');
  expect(read('openvino', 'scheduler/scheduler_config.json')).toEqual({
    ...own,
    _class_name: 'EulerDiscreteScheduler',
  });
  expect(read('openvino', 'model_index.json').scheduler).toEqual(['diffusers', 'EulerDiscreteScheduler']);
  expect(notes.filter((note) => note.startsWith('openvino has no DPMSolverMultistepScheduler'))).toHaveLength(
    1,
  );
});

test('every file for every client is on record, and verified', async () => {
  const { files, problems } = await verify({ path: float16 });
  expect(problems).toEqual([]);
  const flat = 'onnx-webnn-sd15/text-encoder.onnx';
  expect(statSync(join(float16, flat)).ino).toBe(
    statSync(join(float16, 'onnx-webnn-sd15/text_encoder/model.onnx')).ino,
  );
  const record = JSON.parse(readFileSync(join(float16, 'sdconvert.json'), 'utf8'));
  expect(Object.keys(record.artifacts)).toContain('onnx-openvino/unet');
  expect(files).toBeGreaterThan(40);
});

test('the same conversion again reuses every client’s files', async () => {
  const { artifacts } = await convertCheckpoint({ modelVersion, output: float16, clients: onnxClients });
  expect(artifacts.filter(({ kept }) => !kept)).toEqual([]);
});

/** The networks that a client and the checkpoint have. */
function networksIn(client: ClientName): NetworkKind[] {
  // At 512 × 512, the WebNN sample's only size, the others take minutes (measured: 82.2 and 79.5 dB).
  if (client === 'webnn-sd15') return ['text_encoder'];
  const there = ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'] as const;
  return there.filter((network) => profiles[client].networks.includes(network));
}

/** The lowest PSNR in dB of what a client's model computes, against optimum's model. */
async function distance(output: string, client: ClientName, network: NetworkKind): Promise<number> {
  const inputs = inputsOf(network, client === 'webnn-sd15' ? 64 : 8);
  const expected = await runArtifacts({ artifacts: [join(output, 'onnx', network)], inputs });
  const found = await runArtifacts({ artifacts: [join(output, profiles[client].folder, network)], inputs });
  expect(found.size).toBeGreaterThan(0);
  const distances = [...found].map(([name, tensor]) => {
    const reference =
      name === 'latent_sample' && networkKind(network) === 'vae_encoder'
        ? meanOf(expected.get('latent_parameters'))
        : expected.get(name);
    if (!reference) throw new Error(`optimum’s ${network} has no ${name}`);
    return compare(reference, tensor).psnr;
  });
  return Math.min(...distances);
}

function inputsOf(network: NetworkKind, size: number): TensorMap {
  const rng = createRng('numpy', 7);
  const normal = (...shape: number[]): TensorData => {
    const data = rng.normal(shape.reduce((product, size) => product * size, 1));
    return { dtype: 'f32', shape, data: new Float32Array(data) };
  };
  switch (network) {
    case 'text_encoder': {
      const ids = Int32Array.from({ length: 154 }, (_, index) => (index * 37) % 900);
      return new Map([['input_ids', { dtype: 'i32', shape: [2, 77], data: ids }]]);
    }
    case 'unet':
      return new Map<string, TensorData>([
        ['sample', normal(2, 4, size, size)],
        ['timestep', { dtype: 'f32', shape: [], data: new Float32Array([481]) }],
        ['encoder_hidden_states', normal(2, 77, 64)],
      ]);
    case 'vae_decoder':
      return new Map([['latent_sample', normal(1, 4, size, size)]]);
    default:
      return new Map([['sample', normal(1, 3, 64, 64)]]);
  }
}

/** The first half of the channels. */
function meanOf(parameters: TensorData | undefined): TensorData | undefined {
  if (!parameters) return undefined;
  const [batch = 1, channels = 0, ...sizes] = parameters.shape;
  const data = Float64Array.from(numbersOf(parameters));
  const mean = {
    dtype: 'f64' as const,
    shape: [batch, channels / 2, ...sizes],
    data: data.slice(0, data.length / 2),
  };
  return convertTensor('mean', mean, 'f32');
}
