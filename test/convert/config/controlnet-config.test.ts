import { expect, test } from 'vitest';
import { controlnetConfig } from '../../../src/convert/config/controlnet-config.ts';
import { ConfigError } from '../../../src/errors.ts';
import type { JsonObject } from '../../../src/io/json/python-json.ts';
import { headerComponent } from '../../support/header-checkpoint.ts';
import { thrownBy } from '../../support/thrown-by.ts';

const least = {
  in_channels: 4,
  down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'],
  block_out_channels: [320, 640],
  layers_per_block: 2,
  cross_attention_dim: 768,
};

const weights = {
  'conv_in.weight': [320, 4, 3, 3],
  'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight': [320, 768],
  'controlnet_cond_embedding.conv_in.weight': [16, 3, 3, 3],
  'controlnet_cond_embedding.blocks.1.weight': [32, 16, 3, 3],
  'controlnet_cond_embedding.blocks.3.weight': [96, 32, 3, 3],
  'controlnet_cond_embedding.blocks.5.weight': [256, 96, 3, 3],
};

test('a config that says the least has the defaults of diffusers', () => {
  expect(read(least)).toMatchObject({
    heads: [8, 8],
    added: null,
    conditioning_channels: 3,
    conditioning_embedding_out_channels: [16, 32, 96, 256],
    controlnet_conditioning_channel_order: 'rgb',
  });
});

test.each<[string, unknown, string]>([
  [
    'global_pool_conditions',
    true,
    'false (ControlNets that average their residuals over the picture are not supported)',
  ],
  ['controlnet_conditioning_channel_order', 'gray', '"rgb" or "bgr"'],
  ['class_embed_type', 'timestep', 'null'],
])('%s = %j is refused', (key, value, supported) => {
  const error = thrownBy(() => read({ ...least, [key]: value }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toBe(`the config of the controlnet sets ${key} to a value that is not supported.`);
  expect(error.details).toMatchObject({ found: `${key} = ${JSON.stringify(value)}`, supported });
});

test.each<[string, unknown, string]>([
  ['cross_attention_dim', 1024, 'cross_attention_dim is 1024, but the weights have 768'],
  ['conditioning_channels', 1, 'conditioning_channels is 1, but the weights have 3'],
  [
    'conditioning_embedding_out_channels',
    [16, 32, 64, 256],
    'conditioning_embedding_out_channels[2] is 64, but the weights have 96',
  ],
  [
    'conditioning_embedding_out_channels',
    [1e7, 32, 96, 256],
    'conditioning_embedding_out_channels[0] is 10000000, but the weights have 16',
  ],
])('%s that contradicts the weights is refused', (key, value, problem) => {
  const error = thrownBy(() => read({ ...least, [key]: value }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toBe(`the config of the controlnet contradicts its weights: ${problem}.`);
});

function read(config: JsonObject) {
  return controlnetConfig(headerComponent('controlnet', { config, weights }));
}
