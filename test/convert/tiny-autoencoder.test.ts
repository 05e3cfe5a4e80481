import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Checkpoint, Component } from '../../src/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import { autoencoderTiny } from '../../src/convert/networks/autoencoder-tiny.ts';
import { vaeVariant } from '../../src/convert/networks/vae-variants.ts';
import { ConfigError, MissingWeightError, SdConvertError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import type { Op } from '../../src/graph/op.ts';
import { formatShape } from '../../src/graph/shape.ts';
import type { JsonObject } from '../../src/io/json/python-json.ts';
import type { Precision } from '../../src/quantize/precision.ts';
import { psnr } from '../../src/validate/psnr.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { fullSizeCheckpoint } from '../support/full-size.ts';
import { floatsOf, type Golden, readGoldens } from '../support/goldens.ts';
import { mutant } from '../support/recorded-networks.ts';
import type { NetworkRequest } from '../support/run-network.ts';
import { runRows } from '../support/run-rows.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { thrownBy } from '../support/thrown-by.ts';

const inFolder = temporaryFolder();
let checkpoint: Checkpoint;
beforeAll(async () => {
  checkpoint = await openCheckpoint('test/fixtures/tiny-autoencoder');
});
afterAll(() => checkpoint.close());

/** Two pictures of 32 × 40 pixels were recorded. */
const [latentHeight, latentWidth] = [4, 5];
const latentElements = 4 * latentHeight * latentWidth;

/** Floors in dB: what was measured (in the comment), less 8. float16 loses more where results are rounded too, as for Core ML. */
const rows: readonly [NetworkRequest['format'], Precision, decoder: number, encoder: number][] = [
  ['onnx', 'float32', 133, 129], // 141.9, 137.6
  ['onnx', 'float16', 72, 65], // 80.4, 73.2
  ['coreml', 'float32', 133, 129], // 141.9, 137.6
  ['coreml', 'float16', 66, 61], // 74.7, 69.5
];

describe.each(rows)('AutoencoderTiny for %s in %s', (format, precision, decoderFloor, encoderFloor) => {
  test(`gives diffusers’ pictures to ${decoderFloor} dB`, async () => {
    const golden = await goldenOf('vae_decoder');
    const pictures = await run({ model: 'vae_decoder', format, precision }, floatsOf(golden, 'z'));
    expect(psnr(floatsOf(golden, 'image').data, joined(pictures))).toBeGreaterThan(decoderFloor);
  });

  test(`gives diffusers’ latents to ${encoderFloor} dB, and log variances from which nothing but them is drawn`, async () => {
    const golden = await goldenOf('vae_encoder');
    const moments = await run({ model: 'vae_encoder', format, precision }, floatsOf(golden, 'x'));
    const means = moments.map((row) => row.subarray(0, latentElements));
    const logVariances = joined(moments.map((row) => row.subarray(latentElements)));
    expect(psnr(floatsOf(golden, 'latents').data, joined(means))).toBeGreaterThan(encoderFloor);
    // As diffusers draws: mean + exp(log variance / 2) · noise. float32 numbers near 1 are 10⁻⁷ apart.
    expect(logVariances).toHaveLength(2 * latentElements);
    for (const value of logVariances) expect(Math.exp(value / 2)).toBeLessThan(4e-7);
  });
});

test('the floor is tight: pictures of a decoder that clamps its latents a little later fall below it', async () => {
  const golden = await goldenOf('vae_decoder');
  const later = (op: Op): Op =>
    op.kind === 'constant' && op.data[0] === 3 ? { ...op, data: Float32Array.of(3.0001) } : op;
  const change = (graph: Graph): Graph => mutant(graph, later);
  const pictures = await run(
    { model: 'vae_decoder', format: 'onnx', precision: 'float32', change },
    floatsOf(golden, 'z'),
  );
  expect(psnr(floatsOf(golden, 'image').data, joined(pictures))).toBeLessThan(133); // 103.7
});

describe('TAESD at full size', () => {
  const taesd = fullSizeCheckpoint('taesd');

  test('has the shapes of an AutoencoderKL', () => {
    const options = {
      contract: appleContract,
      attention: 'ORIGINAL',
      sizes: { latentHeight: 64, latentWidth: 64 },
    } as const;
    const borders = convert(taesd, options).map(({ graph: { inputs, outputs } }) =>
      [...inputs, ...outputs.map(({ tensor }) => tensor)].map(({ shape }) => formatShape(shape)),
    );
    expect(borders).toEqual([
      ['[1, 4, 64, 64]', '[1, 3, 512, 512]'],
      ['[1, 3, 512, 512]', '[1, 8, 64, 64]'],
    ]);
  });

  test('has free sizes for ONNX', () => {
    const [decoder, encoder] = convert(taesd, {
      contract: optimumContract,
      attention: 'ORIGINAL',
      sizes: {},
    });
    expect(formatShape(decoder?.graph.outputs[0]?.tensor.shape ?? [])).toBe(
      '[batch_size, 3, latent_height * 8, latent_width * 8]',
    );
    expect(formatShape(encoder?.graph.outputs[0]?.tensor.shape ?? [])).toBe(
      '[batch_size, 8, sample_height / 8, sample_width / 8]',
    );
  });
});

test.each<[JsonObject, string, string]>([
  [{ act_fn: 'silu' }, 'sets act_fn to a value that is not supported', '"relu"'],
  [{ upsample_fn: 'bilinear' }, 'sets upsample_fn to a value that is not supported', '"nearest"'],
  [{ latent_channels: 16 }, 'latent_channels is 16, but the weights have 4', ''],
  [{ in_channels: 4 }, 'in_channels is 4, but the weights have 3', ''],
])('a config of another network is refused: %j', (config, problem, supported) => {
  const error = thrownBy(() => autoencoderTiny.open(withConfig(config)));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toContain(problem);
  expect(error.details.supported ?? '').toBe(supported);
});

test('blocks that the weights do not have, or more than the config knows, are refused', () => {
  const converting = (config: JsonObject) => () =>
    convert(
      { ...checkpoint, components: new Map([['vae', withConfig(config)]]) },
      { contract: optimumContract, attention: 'ORIGINAL', sizes: {}, models: ['vae_decoder'] },
    );
  expect(thrownBy(converting({ num_decoder_blocks: [2, 0, 1, 2] }))).toBeInstanceOf(MissingWeightError);
  expect(thrownBy(converting({ num_decoder_blocks: [2, 0, 1] }))).toBeInstanceOf(SdConvertError);
});

test('a folder whose config says AutoencoderTiny is one, whatever model_index.json calls it', () => {
  expect(vaeVariant({ ...tiny(), className: 'AutoencoderKL' })).toBe(autoencoderTiny);
});

function tiny(): Component {
  const component = checkpoint.components.get('vae');
  if (!component) throw new Error('there is no VAE');
  return component;
}

function withConfig(config: JsonObject): Component {
  return { ...tiny(), config: { ...tiny().config, ...config } };
}

async function goldenOf(model: 'vae_decoder' | 'vae_encoder'): Promise<Golden> {
  const [golden] = await readGoldens('test/goldens/tiny-autoencoder', model);
  if (!golden) throw new Error(`nothing is recorded of the ${model}`);
  return golden;
}

/** What a network gives for each row of its only input. */
async function run(request: NetworkRequest, input: TensorData<'f32'>): Promise<Float32Array[]> {
  const sizes = request.format === 'coreml' ? { latentHeight, latentWidth } : {};
  const path = inFolder(`${request.format}-${request.precision}-${runs++}`);
  return runRows(checkpoint, { ...request, sizes }, input, path);
}
let runs = 0;

function joined(rows: readonly Float32Array[]): Float32Array {
  return Float32Array.from(rows.flatMap((row) => [...row]));
}
