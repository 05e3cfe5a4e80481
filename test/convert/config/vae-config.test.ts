import { expect, test } from 'vitest';
import { vaeConfig } from '../../../src/convert/config/vae-config.ts';
import { ConfigError } from '../../../src/errors.ts';
import type { JsonObject } from '../../../src/io/json/python-json.ts';
import { headerComponent } from '../../support/header-checkpoint.ts';
import { thrownBy } from '../../support/thrown-by.ts';

const least = {
  block_out_channels: [128, 256],
  down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
  up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
};

const weights = {
  'encoder.conv_in.weight': [128, 3, 3, 3],
  'encoder.down_blocks.0.resnets.0.conv1.weight': [128, 128, 3, 3],
  'encoder.down_blocks.1.resnets.0.conv1.weight': [256, 128, 3, 3],
  'decoder.conv_in.weight': [256, 4, 3, 3],
  'decoder.conv_out.weight': [3, 128, 3, 3],
};

test('a config that says the least has the defaults of diffusers', () => {
  expect(read(least)).toMatchObject({
    in_channels: 3,
    out_channels: 3,
    latent_channels: 4,
    layers_per_block: 1,
    norm_num_groups: 32,
    use_quant_conv: true,
    use_post_quant_conv: true,
  });
});

test.each<[string, unknown, string]>([
  ['act_fn', 'relu', '"silu"'],
  ['norm_num_groups', -1, 'a number of at least 1'],
  ['down_block_types', ['DownEncoderBlock2D', 'AttnDownEncoderBlock2D'], 'DownEncoderBlock2D'],
  ['up_block_types', ['AttnUpDecoderBlock2D', 'UpDecoderBlock2D'], 'UpDecoderBlock2D'],
])('%s = %j is refused', (key, value, supported) => {
  const error = thrownBy(() => read({ ...least, [key]: value }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toContain(`the config of the vae sets ${key}`);
  expect(error.details).toMatchObject({ file: 'vae/config.json', supported });
});

test.each<[string, unknown, string]>([
  ['in_channels', 1, 'in_channels is 1, but the weights have 3'],
  ['out_channels', 4, 'out_channels is 4, but the weights have 3'],
  ['latent_channels', 16, 'latent_channels is 16, but the weights have 4'],
  ['block_out_channels', [128, 512], 'block_out_channels[1] is 512, but the weights have 256'],
])('%s that contradicts the weights is refused', (key, value, problem) => {
  const error = thrownBy(() => read({ ...least, [key]: value }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toBe(`the config of the vae contradicts its weights: ${problem}.`);
});

test('block types that are not one a level are refused', () => {
  const error = thrownBy(() => read({ ...least, up_block_types: ['UpDecoderBlock2D'] }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toContain('block_out_channels has 2 entries, but up_block_types has 1');
});

function read(config: JsonObject) {
  return vaeConfig(headerComponent('vae', { config, weights }));
}
