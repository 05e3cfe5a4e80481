import { expect, test } from 'vitest';
import { latentScaleOf } from '../../src/convert/networks/vae-variants.ts';
import { decodeLatents } from '../../src/generate/run-networks.ts';
import { latentsForUNet, latentsForVae } from '../../src/generate/scale-latents.ts';
import type { JsonObject } from '../../src/io/json/python-json.ts';

const scaleOf = (config: JsonObject) => latentScaleOf({ name: 'vae', config, configFile: 'vae/config.json' });

const latents = { dtype: 'f32', shape: [2, 2, 1, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) } as const;

test('latents are shifted and scaled as the VAE’s config says', () => {
  const scale = scaleOf({ scaling_factor: 0.5, shift_factor: 1 });
  expect([...latentsForVae(latents, scale).data]).toEqual([3, 5, 7, 9, 11, 13, 15, 17]);
  expect([...latentsForUNet(latents, scale).data]).toEqual([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]);
});

test('each channel has its own mean and deviation where the VAE’s config has them, as for Playground 2.5', () => {
  const config = { scaling_factor: 0.5, latents_mean: [-1, 2], latents_std: [4, 8] };
  const scale = scaleOf(config);
  // diffusers: latents · std / factor + mean.
  const decoded = [1, 2, 3, 4, 5, 6, 7, 8].map((value, i) => (i % 4 < 2 ? value * 8 - 1 : value * 16 + 2));
  expect([...latentsForVae(latents, scale).data]).toEqual(decoded);
  expect([...latentsForUNet(latentsForVae(latents, scale), scale).data]).toEqual([...latents.data]);
  // diffusers reads both or neither.
  expect(scaleOf({ ...config, latents_std: null })).toEqual({ factor: 0.5, shift: 0 });
});

test('statistics of other channels are refused', () => {
  const scale = scaleOf({ latents_mean: [1, 2, 3], latents_std: [1, 1, 1] });
  expect(() => latentsForVae(latents, scale)).toThrow('of another number of channels');
});

test('a caller who gives a mean without a deviation is told', async () => {
  const decoder = {
    path: 'vae_decoder',
    inputs: [],
    outputs: [],
    run: async () => new Map(),
    close: async () => {},
  };
  const scale = { factor: 0.5, shift: 0, mean: [1, 2] };
  await expect(decodeLatents(decoder, latents, scale)).rejects.toThrow('scale.std is missing');
});
