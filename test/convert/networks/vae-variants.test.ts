import { expect, test } from 'vitest';
import { latentScaleOf } from '../../../src/convert/networks/vae-variants.ts';
import { ConfigError } from '../../../src/errors.ts';
import type { JsonObject } from '../../../src/io/json/python-json.ts';
import { headerComponent } from '../../support/header-checkpoint.ts';
import { thrownBy } from '../../support/thrown-by.ts';

const weights = { 'decoder.conv_in.weight': [512, 4, 3, 3] };
const scaleOf = (config: JsonObject) => latentScaleOf(headerComponent('vae', { config, weights }));

test('latents are scaled as the config says, or as diffusers does by default', () => {
  const config = { scaling_factor: 0.36, shift_factor: 0.12, latents_mean: null, latents_std: null };
  expect(scaleOf(config)).toEqual({ factor: 0.36, shift: 0.12 });
  expect(scaleOf({ shift_factor: null })).toEqual({ factor: 0.18215, shift: 0 });
});

const ones = [1, 1, 1, 1];

test.each<[string, JsonObject]>([
  ...[0, -1, 1e308, Number.NaN, Number.POSITIVE_INFINITY, '0.18215', null, [0.18215], true].map(
    (value): [string, JsonObject] => ['scaling_factor', { scaling_factor: value }],
  ),
  ...[-1e9, '0', [], Number.NaN].map((value): [string, JsonObject] => [
    'shift_factor',
    { shift_factor: value },
  ]),
  ['latents_mean.1', { latents_mean: [0, '1', 0, 0], latents_std: ones }],
  ['latents_mean', { latents_mean: 0, latents_std: 1 }],
  ['latents_std.0', { latents_mean: ones, latents_std: [0, 1, 1, 1] }],
])('a %s that scales no latents is refused, or pictures would be of nothing: %j', (key, config) => {
  const error = thrownBy(() => scaleOf(config));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toBe(`the config of the vae sets ${key} to a value that is not supported.`);
  expect(error.details.file).toBe('vae/config.json');
  expect(error.details.supported).toMatch(/^a (number|list)/);
});

test('statistics are of each channel that the latents have, and of both kinds', () => {
  expect(scaleOf({ latents_mean: ones, latents_std: null })).toEqual({ factor: 0.18215, shift: 0 });
  expect(() => scaleOf({ latents_mean: ones, latents_std: [1] })).toThrow('latents_std has 1');
  expect(() => scaleOf({ latents_mean: [1], latents_std: [1] })).toThrow(
    'the number of latents_mean is 1, but the weights have 4',
  );
});
