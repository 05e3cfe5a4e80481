import { expect, test } from 'vitest';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { mutant, recorded, recordedNetworks } from '../support/recorded-networks.ts';

const networks = recordedNetworks(recorded);

/** Floors in dB: what was measured (in the comment), less 8; see unet.test.ts for what is left. */
const rows: readonly [keyof typeof recorded, Precision, floor: number][] = [
  ['sd15-wide', 'float32', 123], // 131.9
  ['sd21', 'float32', 124], // 132.4
  ['sd21', 'float16-weights', 124], // 132.4: the checkpoint is float16
  ['sd21', 'float16', 76], // 84.8
  ['sdxl', 'float32', 124], // 132.4
  ['sd-shapes', 'float32', 123], // 131.6
  ['sd-shapes', 'float16', 99], // 107.4
];

test.each(rows)('%s in %s gives diffusers’ picture to %d dB', async (name, precision, floor) => {
  const graph = withPrecision(networks.graph(name, 'vae_decoder'), precision);
  expect(await networks.agreement(name, 'vae_decoder', graph)).toBeGreaterThan(floor);
});

test('the floor is tight: with a mistaken epsilon, a picture falls below it', async () => {
  const wrong = mutant(networks.graph('sd21', 'vae_decoder'), (op) =>
    op.kind === 'group_norm' ? { ...op, epsilon: 1e-5 } : op,
  );
  expect(await networks.agreement('sd21', 'vae_decoder', wrong)).toBeLessThan(124); // 109.8
});
