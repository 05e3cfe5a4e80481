import { expect, test } from 'vitest';
import { networkCalled, networkOf } from '../../src/run/tensor-names.ts';

const denoiser = ['sample', 'timestep', 'encoder_hidden_states'];

test.each([
  ['text_encoder', ['input_ids']],
  ['unet', denoiser],
  ['unet', [...denoiser, 'time_ids', 'text_embeds']],
  ['unet', [...denoiser, 'timestep_cond']],
  ['control-unet', [...denoiser, 'additional_residual_0', 'additional_residual_1']],
  ['control-unet', [...denoiser, 'down_block_additional_residual_0', 'mid_block_additional_residual']],
  ['controlnet', [...denoiser, 'controlnet_cond']],
  ['vae_decoder', ['z']],
  ['vae_encoder', ['x']],
  ['safety_checker', ['clip_input', 'images', 'adjustment']],
  [undefined, ['images']],
])('%s takes %j', (network, inputs) => {
  expect(networkOf(inputs)).toBe(network);
});

test('a name says which of the networks that take the same it is, and nothing else', () => {
  expect(networkCalled('refiner', 'unet')).toBe('refiner');
  expect(networkCalled('text_encoder_2', 'text_encoder')).toBe('text_encoder_2');
  expect(networkCalled('controlnet_1', 'controlnet')).toBe('controlnet_1');
  expect(networkCalled('refiner', 'vae_decoder')).toBe('vae_decoder');
  expect(networkCalled('my-unet', 'unet')).toBe('unet');
});
