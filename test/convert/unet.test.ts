import { describe, expect, test } from 'vitest';
import type { AttentionImplementation } from '../../src/convert/blocks/attention.ts';
import type { Op } from '../../src/graph/op.ts';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { mutant, recorded, recordedNetworks } from '../support/recorded-networks.ts';

const networks = recordedNetworks(recorded);

/**
 * Floors in dB: what was measured (in the comment), less 8. What is left of 120 dB and more is the order in which float32
 * sums are taken, here and in torch; in float16 it is the rounding of weights and inputs, and of the results that
 * onnxruntime does not keep in float32 from one operation to the next, as it mostly does on a CPU.
 */
const rows: readonly [keyof typeof recorded, AttentionImplementation, Precision, floor: number][] = [
  ['sd15-wide', 'ORIGINAL', 'float32', 115], // 123.7
  ['sd15-wide', 'SPLIT_EINSUM', 'float32', 115], // 123.7
  ['sd15-wide', 'ORIGINAL', 'float16-weights', 115], // 124.0: the checkpoint is float16
  ['sd21', 'SPLIT_EINSUM_V2', 'float32', 118], // 126.4: at 256 tokens the same as SPLIT_EINSUM (blocks/attention.test.ts has more)
  ['sd21', 'SPLIT_EINSUM', 'float16', 61], // 69.4
  // diffusers in float32 and in float64 agree to 118 dB.
  ['sdxl', 'SPLIT_EINSUM', 'float32', 105], // 113.1
  ['sdxl', 'ORIGINAL', 'float16', 50], // 58.5
  ['sd-shapes', 'ORIGINAL', 'float32', 133], // 141.5
  ['sd-shapes', 'ORIGINAL', 'float16', 82], // 90.5
];

test.each(rows)(
  '%s with attention %s in %s gives diffusers’ noise to %d dB',
  async (name, attention, precision, floor) => {
    const graph = withPrecision(networks.graph(name, 'unet', attention), precision);
    expect(await networks.agreement(name, 'unet', graph)).toBeGreaterThan(floor);
  },
);

test('with a ControlNet’s residuals sdxl gives diffusers’ noise to 105 dB', async () => {
  const graph = networks.graph('sdxl', 'control-unet');
  expect(await networks.agreement('sdxl', 'control-unet', graph)).toBeGreaterThan(105); // 113.1
});

test('sdxl’s Core ML package gives diffusers’ noise to 104 dB', async () => {
  const options = { attention: 'SPLIT_EINSUM', precision: 'float32' } as const;
  expect(await networks.coreMlAgreement('sdxl', 'unet', options)).toBeGreaterThan(104); // 112.7
});

describe('the floors are tight: a wrong UNet falls below them', () => {
  test.each<[string, (op: Op) => Op]>([
    ['the epsilon of the resnets’ group norms', (op) => withEpsilon(op, 'group_norm', 1e-5, 1e-6)], // 122.0
    ['the epsilon of the transformers’ group norms', (op) => withEpsilon(op, 'group_norm', 1e-6, 1e-5)], // 130.5
    ['the epsilon of the layer norms', (op) => withEpsilon(op, 'layer_norm', 1e-5, 1e-6)], // 121.0
    ['sines and cosines', swapSineAndCosine], // 20.1
  ])('with %s mistaken', async (_, change) => {
    const wrong = mutant(networks.graph('sd-shapes', 'unet'), change);
    expect(await networks.agreement('sd-shapes', 'unet', wrong)).toBeLessThan(133);
  });
});

function withEpsilon(op: Op, kind: 'group_norm' | 'layer_norm', right: number, wrong: number): Op {
  return op.kind === kind && op.epsilon === right ? { ...op, epsilon: wrong } : op;
}

function swapSineAndCosine(op: Op): Op {
  if (op.kind === 'sin') return { kind: 'cos' };
  return op.kind === 'cos' ? { kind: 'sin' } : op;
}
