import { expect, test } from 'vitest';
import { usualConfig } from '../../src/checkpoint/usual-config.ts';
import type { JsonObject } from '../../src/io/json/python-json.ts';
import { fullSizeCheckpoint } from '../support/full-size.ts';

const unet = 'UNet2DConditionModel';

/** The UNet's config of a published model in another spelling, and in ours. */
function read(change: JsonObject, model: 'sd15' | 'sdxl' = 'sd15', className = unet): JsonObject {
  const component = fullSizeCheckpoint(model).components.get('unet');
  return usualConfig(className, { ...component?.config, ...change }, component?.weights ?? new Map());
}

test.each<[string, JsonObject, JsonObject]>([
  ['the activation', { act_fn: 'swish' }, { act_fn: 'silu' }],
  ['one size for both sides', { sample_size: [64, 64] }, { sample_size: 64 }],
  ['the size of the family', { sample_size: null }, { sample_size: 64 }],
  ['layers', { layers_per_block: [2, 2, 2, 2] }, { layers_per_block: 2 }],
  ['the width of the text', { cross_attention_dim: [768, 768, 768, 768] }, { cross_attention_dim: 768 }],
  ['heads', { attention_head_dim: [8, 8, 8, 8] }, { attention_head_dim: 8 }],
  [
    'no level without self attention',
    { only_cross_attention: [false, false] },
    { only_cross_attention: false },
  ],
])('diffusers reads two spellings of %s alike, and so do we', (_, odd, usual) => {
  expect(read(odd)).toMatchObject(usual);
});

test('what is left out is diffusers’ default', () => {
  const names = ['in_channels', 'out_channels', 'layers_per_block', 'block_out_channels', 'down_block_types'];
  const written = read({});
  const bare = Object.fromEntries(Object.entries(written).filter(([key]) => !names.includes(key)));
  expect(usualConfig(unet, bare, new Map())).toMatchObject(
    Object.fromEntries(names.map((name) => [name, written[name]])),
  );
});

test('XL without a size is of 128', () => {
  expect(read({ sample_size: null }, 'sdxl').sample_size).toBe(128);
});

test('what a config says unevenly stays', () => {
  const uneven = {
    sample_size: [96, 64],
    layers_per_block: [1, 2, 2, 2],
    attention_head_dim: [5, 10, 20, 20],
  };
  expect(read(uneven)).toMatchObject(uneven);
});

test('a ControlNet’s heads may stand under their right name', () => {
  expect(read({ num_attention_heads: [5, 10, 20, 20] }, 'sd15', 'ControlNetModel')).toMatchObject({
    attention_head_dim: [5, 10, 20, 20],
    num_attention_heads: null,
  });
});

test('a config of all of CLIP is that of its text encoder', () => {
  const text = { hidden_size: 768, num_hidden_layers: 12 };
  expect(usualConfig('CLIPTextModel', { text_config: text }, new Map())).toMatchObject(text);
});
