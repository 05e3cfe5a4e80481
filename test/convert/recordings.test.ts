import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { AttentionImplementation } from '../../src/convert/blocks/attention.ts';
import type { NetworkName } from '../../src/convert/networks/networks.ts';

import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { recordedNetworks } from '../support/recorded-networks.ts';

/**
 * The full recordings, where they lie beside the repository: a checkpoint stored in float32, which shows what rounding its
 * weights to float16 costs, and a VAE under its old names (stored in float16).
 */
const shared = '../shared';
const goldens = `${shared}/goldens/sd15`;
const checkpoints = {
  sd15: { path: `${shared}/checkpoints/sd15`, goldens, rounding: '' },
  'sd15-oldvae': { path: `${shared}/checkpoints/sd15-oldvae`, goldens, rounding: '_w16' },
  'controlnet-sd15': {
    path: `${shared}/checkpoints/sd15`,
    controlnet: `${shared}/checkpoints/controlnet-sd15`,
    goldens: `${shared}/goldens/controlnet-sd15`,
    rounding: '_w16',
  },
  sdxl: { path: `${shared}/checkpoints/sdxl`, goldens: `${shared}/goldens/sdxl`, rounding: '_w16' },
  'sdxl with refiner': {
    path: `${shared}/checkpoints/sdxl`,
    refiner: `${shared}/checkpoints/sdxl-refiner`,
    goldens: `${shared}/goldens/sdxl-refiner`,
    rounding: '_w16',
  },
} as const;

/** Floors in dB: what was measured (in the comment), less 8; see unet.test.ts for what is left. */
const rows: readonly [
  keyof typeof checkpoints,
  NetworkName,
  AttentionImplementation,
  Precision,
  floor: number,
][] = [
  ['sd15', 'text_encoder', 'ORIGINAL', 'float32', 123], // 131.2
  ['sd15', 'text_encoder', 'ORIGINAL', 'float16-weights', 123], // 131.9
  ['sd15', 'text_encoder', 'ORIGINAL', 'float16', 58], // 66.8
  ['sd15', 'unet', 'ORIGINAL', 'float32', 117], // 125.3
  ['sd15', 'unet', 'SPLIT_EINSUM_V2', 'float32', 117], // 125.3
  ['sd15', 'unet', 'SPLIT_EINSUM_V2', 'float16-weights', 118], // 126.4
  ['sd15', 'unet', 'ORIGINAL', 'float16', 60], // 68.0
  ['sd15', 'vae_decoder', 'ORIGINAL', 'float32', 123], // 131.8
  ['sd15', 'vae_decoder', 'ORIGINAL', 'float16-weights', 123], // 131.8
  ['sd15', 'vae_decoder', 'ORIGINAL', 'float16', 76], // 84.2
  ['sd15', 'vae_encoder', 'ORIGINAL', 'float32', 121], // 129.2
  ['sd15', 'vae_encoder', 'ORIGINAL', 'float16-weights', 120], // 128.9
  ['sd15', 'vae_encoder', 'ORIGINAL', 'float16', 80], // 88.0
  ['sd15-oldvae', 'vae_decoder', 'ORIGINAL', 'float32', 123], // 131.8
  ['sd15-oldvae', 'vae_encoder', 'ORIGINAL', 'float32', 120], // 128.9
];

/** What is recorded of the other families: floors for float32, the same for both formats (measured: ONNX, Core ML). */
const families: readonly [keyof typeof checkpoints, NetworkName, floor: number][] = [
  ['sd15', 'control-unet', 121], // 129.5, 129.7
  ['controlnet-sd15', 'controlnet', 116], // 124.3, 124.7
  ['sdxl', 'text_encoder', 124], // 133.3, 132.9
  ['sdxl', 'text_encoder_2', 123], // 131.7, 131.0
  ['sdxl', 'unet', 101], // 109.7, 110.3: see unet.test.ts
  ['sdxl', 'control-unet', 104], // 112.7, 112.8
  ['sdxl', 'vae_decoder', 124], // 132.6, 132.8
  ['sdxl', 'vae_encoder', 122], // 130.0, 130.6
  ['sdxl with refiner', 'refiner', 108], // 116.4, 116.9
];

describe.skipIf(!existsSync(shared))('recordings beside the repository', () => {
  const networks = recordedNetworks(checkpoints);

  test.each(rows)(
    '%s: the %s with attention %s in %s agrees to %d dB',
    async (name, model, attention, precision, floor) => {
      const graph = withPrecision(networks.graph(name, model, attention), precision);
      const rounding = precision === 'float32' ? checkpoints[name].rounding : '_w16';
      expect(await networks.agreement(name, model, graph, rounding)).toBeGreaterThan(floor);
    },
  );

  test.each(families)(
    '%s: the %s agrees to %d dB as ONNX and as a Core ML package',
    async (name, model, floor) => {
      const graph = networks.graph(name, model);
      expect(await networks.agreement(name, model, graph)).toBeGreaterThan(floor);
      const options = { attention: 'SPLIT_EINSUM', precision: 'float32' } as const;
      expect(await networks.coreMlAgreement(name, model, options)).toBeGreaterThan(floor);
    },
  );

  test('float32 weights rounded to float16 alone are far from the float32 network', async () => {
    const graph = withPrecision(networks.graph('sd15', 'text_encoder'), 'float16-weights');
    expect(await networks.agreement('sd15', 'text_encoder', graph)).toBeLessThan(73); // 65.3
  });
});
