import { expect, test } from 'vitest';
import { familyOf, kindOf } from '../../src/checkpoint/family.ts';
import { fullSizeCheckpoint } from '../support/full-size.ts';
import { unreadWeight } from '../support/memory-weight.ts';

function weights(shapes: Readonly<Record<string, readonly number[]>>) {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, unreadWeight(name, shape)]));
}

test.for([
  ['sd15', 'sd1'],
  ['sd21-base', 'sd2'],
  ['sd21', 'sd2'],
] as const)('the published %s is %s, by the shapes of its UNet', ([name, family]) => {
  const { components } = fullSizeCheckpoint(name);
  expect(familyOf(components.get('unet')?.weights ?? new Map())).toBe(family);
  expect(kindOf(components.get('unet')?.weights ?? new Map())).toBe('base');
  expect(familyOf(components.get('vae')?.weights ?? new Map())).toBeUndefined();
});

test.for([
  ['a UNet', 'down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight', [640, 2048]],
  [
    'a single file',
    'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight',
    [640, 2048],
  ],
  [
    "kohya's LoRA",
    'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight',
    [8, 2048],
  ],
  ["peft's LoRA", 'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight', [8, 2048]],
] as const)('%s of Stable Diffusion XL is known by the text that it attends to', ([, name, shape]) => {
  expect(familyOf(weights({ [name]: shape }))).toBe('sdxl');
});

test('a small model is known by the layers that only its family has', () => {
  const attention = 'down_blocks.0.attentions.0';
  const small = { [`${attention}.transformer_blocks.0.attn2.to_k.weight`]: [32, 48] };
  const [convolution, linear] = [
    [32, 32, 1, 1],
    [32, 32],
  ].map((shape) => ({ ...small, [`${attention}.proj_in.weight`]: shape }));
  expect(familyOf(weights(convolution ?? {}))).toBe('sd1');
  expect(familyOf(weights(linear ?? {}))).toBe('sd2');
  expect(familyOf(weights({ ...linear, 'add_embedding.linear_1.weight': [128, 160] }))).toBe('sdxl');
});

test.for([
  [4, 'base'],
  [5, 'depth'],
  [8, 'pix2pix'],
  [9, 'inpainting'],
  [7, undefined],
] as const)('a UNet that reads %i channels was trained for %s', ([channels, task]) => {
  expect(kindOf(weights({ 'conv_in.weight': [320, channels, 3, 3] }))).toBe(task);
});

test('a ControlNet of XL is not a refiner’s, however many results it has', () => {
  const weights = fullSizeCheckpoint('controlnet-sdxl').components.get('controlnet')?.weights ?? new Map();
  const small = new Map([...weights].filter(([name]) => !name.includes('attn')));
  expect(familyOf(weights)).toBe('sdxl');
  expect(familyOf(small)).toBe('sdxl');
});
