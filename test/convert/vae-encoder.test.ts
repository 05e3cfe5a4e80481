import { describe, expect, test } from 'vitest';
import type { Op } from '../../src/graph/op.ts';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { mutant, recorded, recordedNetworks } from '../support/recorded-networks.ts';

const networks = recordedNetworks(recorded);

/** Floors in dB: what was measured (in the comment), less 8; see unet.test.ts for what is left. */
const rows: readonly [keyof typeof recorded, Precision, floor: number][] = [
  ['sd15-wide', 'float32', 121], // 129.7
  ['sd21', 'float32', 120], // 128.9
  ['sd21', 'float16-weights', 120], // 128.9: the checkpoint is float16
  ['sd21', 'float16', 79], // 87.4
  ['sd-shapes', 'float32', 137], // 145.1
];

test.each(rows)('%s in %s gives diffusers’ latents to %d dB', async (name, precision, floor) => {
  const graph = withPrecision(networks.graph(name, 'vae_encoder'), precision);
  expect(await networks.agreement(name, 'vae_encoder', graph)).toBeGreaterThan(floor);
});

describe('the floor is tight: wrong latents fall below it', () => {
  test.each<[string, (op: Op) => Op]>([
    ['a mistaken epsilon', (op) => (op.kind === 'group_norm' ? { ...op, epsilon: 1e-5 } : op)], // 106.5
    ['downsamplers that pad above and to the left', padAboveAndLeft], // 9.7
  ])('with %s', async (_, change) => {
    const wrong = mutant(networks.graph('sd21', 'vae_encoder'), change);
    expect(await networks.agreement('sd21', 'vae_encoder', wrong)).toBeLessThan(120);
  });
});

function padAboveAndLeft(op: Op): Op {
  if (op.kind !== 'conv2d' || op.stride === 1) return op;
  return { ...op, pads: { top: 1, left: 1, bottom: 0, right: 0 } };
}
