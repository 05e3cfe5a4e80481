import { expect, test } from 'vitest';
import { completeControlNet } from '../../src/checkpoint/complete-controlnet.ts';
import type { Incomplete, OpenComponent } from '../../src/checkpoint/component.ts';
import { RequestError } from '../../src/errors.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import { memoryWeight } from '../support/memory-weight.ts';
import { thrownBy } from '../support/thrown-by.ts';

type Numbers = Readonly<Record<string, readonly [shape: readonly number[], ...values: number[]]>>;

function component(name: string, numbers: Numbers, incomplete?: Incomplete): OpenComponent {
  const weights = Object.entries(numbers).map(
    ([key, [shape, ...values]]) => [key, memoryWeight(key, shape, Float32Array.from(values))] as const,
  );
  const facts = {
    name,
    className: '',
    config: {},
    configFile: '',
    files: [`${name}.safetensors`],
    notes: [],
  };
  return { ...facts, incomplete, weights: new Map(weights), close: async () => {} };
}

async function numbersIn({ weights }: OpenComponent): Promise<Record<string, number[]>> {
  const entries = [...weights.values()].map(async (weight) => [
    weight.name,
    [...(await readTensor(weight, 'f32')).data],
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

const unet = component('unet', {
  'conv_in.weight': [[1, 2], 1, 2],
  'mid_block.resnets.0.conv1.weight': [[2, 2], 1, 2, 3, 4],
  'mid_block.resnets.0.conv1.bias': [[2], 5, 6],
  'up_blocks.0.resnets.0.conv1.weight': [[1], 9],
});

test('a difference is added to what the UNet has, and what only the ControlNet has stays', async () => {
  const difference = {
    'conv_in.weight': [[1, 2], 0.5, 0.25],
    'controlnet_mid_block.weight': [[1], 7],
  } as const;
  const whole = completeControlNet(component('controlnet', difference, 'difference'), unet);
  expect(await numbersIn(whole)).toEqual({
    'conv_in.weight': [1.5, 2.25],
    'controlnet_mid_block.weight': [7],
  });
  expect(whole.files).toEqual(['controlnet.safetensors', 'unet.safetensors']);
});

test('a Control-LoRA is the UNet’s way down with products of low rank added, and what it has whole', async () => {
  const lora = {
    'conv_in.weight': [[1, 2], 8, 9],
    'mid_block.resnets.0.conv1.up': [[2, 1], 1, 2],
    'mid_block.resnets.0.conv1.down': [[1, 2], 10, 20],
    'controlnet_mid_block.weight': [[1], 7],
  } as const;
  const whole = completeControlNet(component('controlnet', lora, 'control-lora'), unet);
  expect(await numbersIn(whole)).toEqual({
    'conv_in.weight': [8, 9],
    'mid_block.resnets.0.conv1.weight': [11, 22, 23, 44],
    'mid_block.resnets.0.conv1.bias': [5, 6],
    'controlnet_mid_block.weight': [7],
  });
});

test('a whole ControlNet is itself', () => {
  const whole = component('controlnet', {});
  expect(completeControlNet(whole, undefined)).toBe(whole);
});

test('without the UNet that it was made from it is refused', () => {
  const lora = component(
    'controlnet',
    { 'mid_block.resnets.9.conv1.up': [[2, 1], 1, 2], 'mid_block.resnets.9.conv1.down': [[1, 2], 1, 2] },
    'control-lora',
  );
  expect(thrownBy(() => completeControlNet(lora, undefined))).toBeInstanceOf(RequestError);
  expect(thrownBy(() => completeControlNet(lora, unet)).problem).toContain(
    "does not fit the checkpoint's UNet: a layer is missing or has another shape",
  );
});
