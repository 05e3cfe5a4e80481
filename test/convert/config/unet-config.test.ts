import { describe, expect, test } from 'vitest';
import { unetConfig } from '../../../src/convert/config/unet-config.ts';
import { ConfigError } from '../../../src/errors.ts';
import type { JsonObject } from '../../../src/io/json/python-json.ts';
import { type HeaderComponent, headerComponent } from '../../support/header-checkpoint.ts';
import { thrownBy } from '../../support/thrown-by.ts';

/** The least that a config must say; everything else has diffusers' defaults. */
const least = {
  sample_size: 64,
  in_channels: 4,
  out_channels: 4,
  down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'],
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D'],
  block_out_channels: [320, 640],
  layers_per_block: 2,
  cross_attention_dim: 768,
};

const weights = {
  'conv_in.weight': [320, 4, 3, 3],
  'conv_out.weight': [4, 320, 3, 3],
  'down_blocks.0.resnets.0.conv1.weight': [320, 320, 3, 3],
  'down_blocks.1.resnets.0.conv1.weight': [640, 320, 3, 3],
  'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight': [320, 768],
  'time_embedding.cond_proj.weight': [320, 256],
  'add_embedding.linear_1.weight': [1280, 2816],
};

test('a config that says the least has the defaults of diffusers', () => {
  expect(read(least)).toMatchObject({
    heads: [8, 8],
    layers: [2, 2],
    down_depths: [
      [1, 1],
      [1, 1],
    ],
    mid_depth: 1,
    up_depths: [
      [1, 1, 1],
      [1, 1, 1],
    ],
    sample_size: [64, 64],
    norm_num_groups: 32,
    norm_eps: 1e-5,
    flip_sin_to_cos: true,
    freq_shift: 0,
    center_input_sample: false,
  });
});

test('one number of heads holds for all levels, a list says them one by one', () => {
  expect(read({ ...least, attention_head_dim: 5 }).heads).toEqual([5, 5]);
  expect(read({ ...least, attention_head_dim: [5, 10] }).heads).toEqual([5, 10]);
  expect(read({ ...least, transformer_layers_per_block: [1, 2] })).toMatchObject({
    down_depths: [
      [1, 1],
      [2, 2],
    ],
    mid_depth: 2,
    up_depths: [
      [2, 2, 2],
      [1, 1, 1],
    ],
  });
});

test('a distilled UNet has its own depths on the way up, and may have one for each layer', () => {
  const config = {
    ...least,
    transformer_layers_per_block: [[1, 3], 2],
    reverse_transformer_layers_per_block: [[4, 4, 10], 1],
  };
  expect(read(config)).toMatchObject({
    down_depths: [
      [1, 3],
      [2, 2],
    ],
    up_depths: [
      [4, 4, 10],
      [1, 1, 1],
    ],
  });
});

test('levels may have different numbers of layers', () => {
  expect(read({ ...least, layers_per_block: [1, 2] })).toMatchObject({
    layers: [1, 2],
    down_depths: [[1], [1, 1]],
    up_depths: [
      [1, 1, 1],
      [1, 1],
    ],
  });
});

test.each([
  [{ transformer_layers_per_block: [[1, 1], 1] }, 'has no reverse_transformer_layers_per_block'],
  [{ transformer_layers_per_block: [[1, 1, 1], 1] }, 'transformer_layers_per_block[0] has 3 entries for 2'],
  [
    { reverse_transformer_layers_per_block: [[1, 1], 1] },
    'reverse_transformer_layers_per_block[0] has 2 entries for 3 layers',
  ],
])('depths that do not fit the layers are refused: %j', (config, problem) => {
  const error = thrownBy(() => read({ ...least, ...config }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toContain(problem);
});

test.each<[JsonObject, string]>([
  [{ norm_num_groups: 7 }, 'norm_num_groups = 7 does not divide block_out_channels[0] = 320'],
  [{ attention_head_dim: 3 }, 'attention_head_dim = 3 does not divide block_out_channels[0] = 320'],
  [{ attention_head_dim: [5, 11] }, 'attention_head_dim = 11 does not divide block_out_channels[1] = 640'],
  [xl(255), 'the number of sines and cosines = 2 does not divide addition_time_embed_dim = 255'],
])('numbers that do not divide a width are refused before a graph is built: %j', (config, problem) => {
  const error = thrownBy(() => read({ ...least, ...config }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toContain(problem);
  expect(error.details).toEqual({ file: 'unet/config.json' });
});

test('there are not more levels than the largest picture can be halved', () => {
  const channels = Array<number>(2000).fill(320);
  const error = thrownBy(() => read({ ...least, block_out_channels: channels }));
  expect(error.details.supported).toBe('a list of at most 12 levels');
});

test('a list that is longer than any model has levels is not looked through', () => {
  const words = Array<string>(400_000).fill('a');
  const start = process.cpuUsage();
  const error = thrownBy(() => read({ ...least, transformer_layers_per_block: words }));
  expect(error.details.found).toContain('transformer_layers_per_block = ["a", ');
  expect(process.cpuUsage(start).user).toBeLessThan(1e6); // 0.02 s, and 6 s where each word was an error
});

test.each([-1, 0])('there are no added conditions of %i channels', (channels) => {
  expect(thrownBy(() => read({ ...least, ...xl(channels) })).details).toMatchObject({
    found: `addition_time_embed_dim = ${channels}`,
    supported: 'a number of at least 1, or null',
  });
});

function xl(channels: number): JsonObject {
  return {
    addition_embed_type: 'text_time',
    addition_time_embed_dim: channels,
    projection_class_embeddings_input_dim: 2816,
  };
}

test('null says as little as nothing, where diffusers writes it for what it leaves to a default', () => {
  const nulls = {
    upcast_attention: null,
    mid_block_only_cross_attention: null,
    addition_embed_type: null,
    addition_time_embed_dim: null,
    projection_class_embeddings_input_dim: null,
    reverse_transformer_layers_per_block: null,
    time_cond_proj_dim: null,
    num_attention_heads: null,
    encoder_hid_dim: null,
  };
  expect(read({ ...least, ...nulls })).toMatchObject({ added: null, time_cond_proj_dim: null });
});

describe('SDXL is told sizes beside the text', () => {
  const xl = { addition_embed_type: 'text_time', addition_time_embed_dim: 256 };

  test.each<[string, JsonObject, object]>([
    [
      'the base six numbers',
      { cross_attention_dim: 2048, projection_class_embeddings_input_dim: 2816 },
      { text: 1280, ids: 6, channels: 256 },
    ],
    [
      'the refiner five',
      { cross_attention_dim: 1280, projection_class_embeddings_input_dim: 2560 },
      { text: 1280, ids: 5, channels: 256 },
    ],
  ])('%s', (_, config, added) => {
    expect(read({ ...least, ...xl, ...config }, {}).added).toEqual(added);
  });

  test.each(['addition_time_embed_dim', 'projection_class_embeddings_input_dim'])(
    'a config that leaves out %s is refused',
    (key) => {
      const config = { ...least, ...xl, projection_class_embeddings_input_dim: 2816, [key]: null };
      const error = thrownBy(() => read(config));
      expect(error).toBeInstanceOf(ConfigError);
      expect(error.problem).toBe(`the config of the unet has no ${key}.`);
    },
  );

  test('a config with no room for the text is refused', () => {
    const error = thrownBy(() => read({ ...least, ...xl, projection_class_embeddings_input_dim: 1536 }, {}));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toContain('6 time_ids of 256 channels do not fit');
  });
});

test('keys that say nothing about the graph are left alone', () => {
  expect(() => read({ ...least, _diffusers_version: '0.6.0', dropout: 0.1, made_by: 'me' })).not.toThrow();
});

describe('what is not supported is refused with its key, its value and what would be', () => {
  test.each<[string, unknown, string]>([
    ['act_fn', 'mish', '"silu"'],
    ['class_embed_type', 'timestep', 'null'],
    ['num_class_embeds', 1000, 'null'],
    ['addition_embed_type', 'image', 'null or "text_time"'],
    ['encoder_hid_dim', 4096, 'null'],
    ['encoder_hid_dim_type', 'text_proj', 'null'],
    ['time_cond_proj_dim', true, 'a number or null'],
    ['cross_attention_dim', [768, 1024], 'a number'],
    ['mid_block_only_cross_attention', true, 'null or false'],
    ['num_attention_heads', 8, 'null'],
    ['mid_block_type', 'UNetMidBlock2DSimpleCrossAttn', 'UNetMidBlock2DCrossAttn, UNetMidBlock2D or null'],
    ['resnet_time_scale_shift', 'scale_shift', '"default"'],
    ['only_cross_attention', true, 'false'],
    ['conv_in_kernel', 5, '3'],
    ['norm_num_groups', -1, 'a number of at least 1'],
    ['norm_eps', 0, 'a number above 0, at most 1'],
    ['freq_shift', 160, 'a number from 0 to 1'],
    ['attention_head_dim', 'eight', 'a number of at least 1, or a list of them'],
    ['attention_head_dim', 0, 'a number of at least 1'],
    ['layers_per_block', 1_000_000_000, 'a number of at most 1000'],
    ['transformer_layers_per_block', 1_000_000_000, 'a number of at most 1000'],
  ])('%s = %j', (key, value, supported) => {
    const error = thrownBy(() => read({ ...least, [key]: value }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toBe(`the config of the unet sets ${key} to a value that is not supported.`);
    expect(error.details).toEqual({
      file: 'unet/config.json',
      found: `${key} = ${JSON.stringify(value).replaceAll(',', ', ')}`,
      supported,
    });
  });

  test('also inside a list', () => {
    const error = thrownBy(() =>
      read({ ...least, down_block_types: ['CrossAttnDownBlock2D', 'AttnDownBlock2D'] }),
    );
    expect(error.details).toMatchObject({
      found: 'down_block_types.1 = "AttnDownBlock2D"',
      supported: 'CrossAttnDownBlock2D or DownBlock2D',
    });
    const { details } = thrownBy(() => read({ ...least, attention_head_dim: [5, 0] }));
    expect(details).toMatchObject({ found: 'attention_head_dim.1 = 0', supported: 'a number of at least 1' });
  });
});

test.each(Object.keys(least))('a config without %s is refused', (key) => {
  const error = thrownBy(() => read({ ...least, [key]: undefined }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toBe(`the config of the unet has no ${key}.`);
  expect(error.details).toEqual({ file: 'unet/config.json' });
});

describe('a config that contradicts the weights beside it is refused', () => {
  test.each<[string, unknown, string, string]>([
    ['in_channels', 9, 'in_channels is 9, but the weights have 4', 'conv_in.weight [320, 4, 3, 3]'],
    ['out_channels', 8, 'out_channels is 8, but the weights have 4', 'conv_out.weight [4, 320, 3, 3]'],
    [
      'block_out_channels',
      [320, 1280],
      'block_out_channels[1] is 1280, but the weights have 640',
      'down_blocks.1.resnets.0.conv1.weight [640, 320, 3, 3]',
    ],
    [
      'cross_attention_dim',
      1024,
      'cross_attention_dim is 1024, but the weights have 768',
      'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight [320, 768]',
    ],
    [
      'time_cond_proj_dim',
      512,
      'time_cond_proj_dim is 512, but the weights have 256',
      'time_embedding.cond_proj.weight [320, 256]',
    ],
    [
      'projection_class_embeddings_input_dim',
      2560,
      'projection_class_embeddings_input_dim is 2560, but the weights have 2816',
      'add_embedding.linear_1.weight [1280, 2816]',
    ],
  ])('in %s', (key, value, problem, weight) => {
    const error = thrownBy(() => read({ ...least, [key]: value }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toBe(`the config of the unet contradicts its weights: ${problem}.`);
    expect(error.details).toEqual({ config: 'unet/config.json', weight, file: 'header.safetensors' });
  });
});

test.each([
  ['down_block_types', ['DownBlock2D']],
  ['up_block_types', ['UpBlock2D', 'UpBlock2D', 'UpBlock2D']],
  ['attention_head_dim', [5, 10, 20]],
  ['transformer_layers_per_block', [1]],
])('a config whose %s has not one entry a level is refused', (key, list) => {
  const error = thrownBy(() => read({ ...least, [key]: list }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toBe(
    `the config of the unet contradicts itself: block_out_channels has 2 entries, but ${key} has ${list.length}.`,
  );
  expect(error.details).toEqual({ file: 'unet/config.json' });
});

test('heads that do not divide the width of a level where only the up block attends are refused', () => {
  const types = { down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'], mid_block_type: null };
  const odd = { ...least, ...types, attention_head_dim: [5, 7] };
  expect(read({ ...odd, up_block_types: ['UpBlock2D', 'UpBlock2D'] }).heads).toEqual([5, 7]);
  const error = thrownBy(() => read({ ...odd, up_block_types: ['CrossAttnUpBlock2D', 'UpBlock2D'] }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toBe(
    'the config of the unet contradicts itself: attention_head_dim = 7 does not divide block_out_channels[1] = 640.',
  );
});

test.each([10_000_000, 0, -1, [64, 1025]])(
  'a sample_size of %j is refused, also where a graph has free sizes',
  (size) => {
    const error = thrownBy(() => read({ ...least, sample_size: size }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(JSON.stringify(error.details)).toContain('a number from 1 to 1024');
  },
);

function read(config: JsonObject, shapes: HeaderComponent['weights'] = weights) {
  return unetConfig(headerComponent('unet', { config, weights: shapes }));
}
