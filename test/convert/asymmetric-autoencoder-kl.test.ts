import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { openComponent } from '../../src/checkpoint/open-component.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import { asymmetricAutoencoderKl } from '../../src/convert/networks/asymmetric-autoencoder-kl.ts';
import { notesOn } from '../../src/convert/notes.ts';
import { ConfigError, UnusedWeightError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import type { Op } from '../../src/graph/op.ts';
import type { JsonObject } from '../../src/io/json/python-json.ts';
import type { Precision } from '../../src/quantize/precision.ts';
import { psnr } from '../../src/validate/psnr.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { floatsOf, type Golden, readGoldens } from '../support/goldens.ts';
import { mutant } from '../support/recorded-networks.ts';
import type { NetworkRequest } from '../support/run-network.ts';
import { runRows } from '../support/run-rows.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { thrownBy } from '../support/thrown-by.ts';

const FOLDER = 'test/fixtures/asymmetric-autoencoder';
const inFolder = temporaryFolder();
let checkpoint: Checkpoint;
beforeAll(async () => {
  checkpoint = await openCheckpoint(FOLDER);
});
afterAll(() => checkpoint.close());

/** Floors in dB: what was measured (in the comment), less 8. */
const rows: readonly [NetworkRequest['format'], Precision, decoder: number, encoder: number][] = [
  ['onnx', 'float32', 124, 131], // 132.1, 139.8
  ['onnx', 'float16', 62, 66], // 70.2, 74.7
  ['coreml', 'float32', 124, 131], // 132.6, 139.7
  ['coreml', 'float16', 55, 60], // 63.5, 68.9
];

describe.each(rows)('AsymmetricAutoencoderKL for %s in %s', (format, precision, decoder, encoder) => {
  test(`gives diffusers’ pictures to ${decoder} dB`, async () => {
    const golden = await goldenOf('vae_decoder');
    const pictures = await run({ model: 'vae_decoder', format, precision }, floatsOf(golden, 'z'));
    expect(psnr(floatsOf(golden, 'image').data, pictures)).toBeGreaterThan(decoder);
  });

  test(`gives diffusers’ means and log variances to ${encoder} dB`, async () => {
    const golden = await goldenOf('vae_encoder');
    const moments = await run({ model: 'vae_encoder', format, precision }, floatsOf(golden, 'x'));
    expect(psnr(floatsOf(golden, 'latent').data, moments)).toBeGreaterThan(encoder);
  });
});

test('the floors are tight: with another epsilon, pictures and latents fall below them', async () => {
  const other = (op: Op): Op => (op.kind === 'group_norm' ? { ...op, epsilon: 1e-5 } : op);
  const change = (graph: Graph): Graph => mutant(graph, other);
  const request = { format: 'onnx', precision: 'float32', change } as const;
  const [decoder, encoder] = [await goldenOf('vae_decoder'), await goldenOf('vae_encoder')];
  const pictures = await run({ ...request, model: 'vae_decoder' }, floatsOf(decoder, 'z'));
  const moments = await run({ ...request, model: 'vae_encoder' }, floatsOf(encoder, 'x'));
  expect(psnr(floatsOf(decoder, 'image').data, pictures)).toBeLessThan(124); // 100.2
  expect(psnr(floatsOf(encoder, 'latent').data, moments)).toBeLessThan(131); // 108.0
});

test('the masked picture of inpainting is not an input, and a note says so', () => {
  expect(notesOn(checkpoint, ['vae_decoder'], { coreMl: true })).toEqual([
    expect.stringContaining('decodes latents only'),
  ]);
  expect(notesOn(checkpoint, ['vae_encoder'], { coreMl: true })).toEqual([]);
});

test('the same weights called AutoencoderKL are refused', () => {
  const { up_block_out_channels: channels, layers_per_up_block: layers } = component().config;
  const config = {
    ...component().config,
    _class_name: 'AutoencoderKL',
    block_out_channels: channels,
    layers_per_block: layers,
  };
  expect(thrownBy(() => decoderOf({ ...config }))).toBeInstanceOf(ConfigError);
  const asDecoder = { ...config, block_out_channels: [4, 8] };
  expect(thrownBy(() => decoderOf(asDecoder))).toBeInstanceOf(UnusedWeightError);
});

test.each<[JsonObject, string]>([
  [{ up_block_out_channels: [8, 16] }, 'up_block_out_channels[1] is 16, but the weights have 12'],
  [{ down_block_out_channels: [4, 4] }, 'down_block_out_channels[1] is 4, but the weights have 8'],
  [{ up_block_out_channels: [8, 8, 12] }, 'up_block_out_channels has 3'],
  [{ act_fn: 'relu' }, 'sets act_fn to a value that is not supported'],
])('a config of another network is refused: %j', (config, problem) => {
  const changed = { ...component(), config: { ...component().config, ...config } };
  const error = thrownBy(() => asymmetricAutoencoderKl.open(changed));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toContain(problem);
});

test('its folder can be given in the place of a checkpoint’s VAE', async () => {
  const vae = await openComponent(`${FOLDER}/vae`, { as: 'vae' });
  expect(vae.className).toBe('AsymmetricAutoencoderKL');
  await vae.close();
});

function component() {
  const vae = checkpoint.components.get('vae');
  if (!vae) throw new Error('there is no VAE');
  return vae;
}

function decoderOf(config: JsonObject) {
  const changed = { ...checkpoint, components: new Map([['vae', { ...component(), config }]]) };
  const options = { contract: optimumContract, attention: 'ORIGINAL', sizes: {} } as const;
  return convert(changed, { ...options, models: ['vae_decoder'] });
}

async function run(request: NetworkRequest, input: TensorData<'f32'>): Promise<Float32Array> {
  const sizes = request.format === 'coreml' ? { latentHeight: 6, latentWidth: 5 } : {};
  const path = inFolder(`${request.format}-${request.precision}-${runs++}`);
  const rows = await runRows(checkpoint, { ...request, sizes }, input, path);
  return Float32Array.from(rows.flatMap((row) => [...row]));
}
let runs = 0;

async function goldenOf(name: string): Promise<Golden> {
  const [golden] = await readGoldens('test/goldens/asymmetric-autoencoder', name);
  if (!golden) throw new Error(`${name} is not recorded`);
  return golden;
}
