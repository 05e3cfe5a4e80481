import { expect, test } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.ts';
import { appleContract } from '../../../src/convert/contracts/apple.ts';
import type { Sizes } from '../../../src/convert/contracts/contract.ts';
import { convert } from '../../../src/convert/convert.ts';
import type { NetworkName } from '../../../src/convert/networks/networks.ts';
import { formatShape } from '../../../src/graph/shape.ts';
import { verifyGraph } from '../../../src/graph/verify.ts';
import { type FullSizeModel, fullSizeCheckpoint } from '../../support/full-size.ts';

const size64 = { latentHeight: 64, latentWidth: 64 };

test('Stable Diffusion 1.5 has the inputs and outputs of the packages that Apple publishes', () => {
  expect(borders('sd15', 'text_encoder')).toEqual([
    'in  input_ids f32 [1, 77]',
    'out last_hidden_state f32 [1, 77, 768]',
    'out pooled_outputs f32 [1, 768]',
  ]);
  expect(borders('sd15', 'unet')).toEqual([
    'in  sample f16 [2, 4, 64, 64]',
    'in  timestep f16 [2]',
    'in  encoder_hidden_states f16 [2, 768, 1, 77]',
    'out noise_pred f32 [2, 4, 64, 64]',
  ]);
  expect(borders('sd15', 'vae_decoder', size64)).toEqual([
    'in  z f16 [1, 4, 64, 64]',
    'out image f32 [1, 3, 512, 512]',
  ]);
  expect(borders('sd15', 'vae_encoder', size64)).toEqual([
    'in  x f16 [1, 3, 512, 512]',
    'out latent f32 [1, 8, 64, 64]',
  ]);
});

test('Stable Diffusion 2.1 has wider text and, at 768 pixels, larger latents', () => {
  expect(borders('sd21-base', 'text_encoder')).toContain('out last_hidden_state f32 [1, 77, 1024]');
  expect(borders('sd21-base', 'unet')).toContain('in  encoder_hidden_states f16 [2, 1024, 1, 77]');
  expect(borders('sd21', 'unet')).toContain('in  sample f16 [2, 4, 96, 96]');
});

test('Stable Diffusion XL reads sizes and pooled text, and its text encoders give hidden states', () => {
  expect(borders('sdxl', 'text_encoder')).toEqual([
    'in  input_ids f32 [1, 77]',
    'out hidden_embeds f32 [1, 77, 768]',
    'out pooled_outputs f32 [1, 768]',
  ]);
  expect(borders('sdxl', 'text_encoder_2')).toEqual([
    'in  input_ids f32 [1, 77]',
    'out hidden_embeds f32 [1, 77, 1280]',
    'out pooled_outputs f32 [1, 1280]',
  ]);
  expect(borders('sdxl', 'unet')).toEqual([
    'in  sample f16 [2, 4, 128, 128]',
    'in  timestep f16 [2]',
    'in  encoder_hidden_states f16 [2, 2048, 1, 77]',
    'in  time_ids f16 [2, 6]',
    'in  text_embeds f16 [2, 1280]',
    'out noise_pred f32 [2, 4, 128, 128]',
  ]);
  expect(borders('sdxl', 'unet', { unetBatch: 1 })).toEqual(
    expect.arrayContaining(['in  time_ids f16 [1, 6]', 'in  text_embeds f16 [1, 1280]']),
  );
  expect(borders('sdxl-refiner', 'unet')).toEqual([
    'in  sample f16 [2, 4, 128, 128]',
    'in  timestep f16 [2]',
    'in  encoder_hidden_states f16 [2, 1280, 1, 77]',
    'in  time_ids f16 [2, 5]',
    'in  text_embeds f16 [2, 1280]',
    'out noise_pred f32 [2, 4, 128, 128]',
  ]);
  expect(borders('sdxl', 'vae_decoder')).toContain('in  z f16 [1, 4, 128, 128]');
});

test('a refiner has the size of the checkpoint that it refines', () => {
  const unet = fullSizeCheckpoint('sdxl-refiner').components.get('unet');
  const base = fullSizeCheckpoint('sd21');
  if (!unet) throw new Error('the refiner has no UNet');
  const together = { ...base, components: new Map(base.components).set('refiner', unet) };
  expect(borders(together, 'refiner')).toContain('in  sample f16 [2, 4, 96, 96]');
});

test('an inpainting UNet reads nine channels and gives four', () => {
  expect(borders('sd15-inpainting', 'unet')).toEqual([
    'in  sample f16 [2, 9, 64, 64]',
    'in  timestep f16 [2]',
    'in  encoder_hidden_states f16 [2, 768, 1, 77]',
    'out noise_pred f32 [2, 4, 64, 64]',
  ]);
});

const residuals = [
  '0 [2, 320, 64, 64]',
  '1 [2, 320, 64, 64]',
  '2 [2, 320, 64, 64]',
  '3 [2, 320, 32, 32]',
  '4 [2, 640, 32, 32]',
  '5 [2, 640, 32, 32]',
  '6 [2, 640, 16, 16]',
  '7 [2, 1280, 16, 16]',
  '8 [2, 1280, 16, 16]',
  '9 [2, 1280, 8, 8]',
  '10 [2, 1280, 8, 8]',
  '11 [2, 1280, 8, 8]',
  '12 [2, 1280, 8, 8]',
];

test('a UNet for a ControlNet reads its residuals after everything else, and the ControlNet gives them', () => {
  expect(borders('sd15', 'control-unet')).toEqual([
    'in  sample f16 [2, 4, 64, 64]',
    'in  timestep f16 [2]',
    'in  encoder_hidden_states f16 [2, 768, 1, 77]',
    ...residuals.map((text) => `in  additional_residual_${text.replace(' ', ' f16 ')}`),
    'out noise_pred f32 [2, 4, 64, 64]',
  ]);
  expect(borders('controlnet-sd15', 'controlnet', size64)).toEqual([
    'in  sample f16 [2, 4, 64, 64]',
    'in  timestep f16 [2]',
    'in  encoder_hidden_states f16 [2, 768, 1, 77]',
    'in  controlnet_cond f16 [2, 3, 512, 512]',
    ...residuals.map((text) => `out additional_residual_${text.replace(' ', ' f32 ')}`),
  ]);
  const xl = borders('sdxl', 'control-unet');
  expect(xl.slice(3, 5)).toEqual(['in  time_ids f16 [2, 6]', 'in  text_embeds f16 [2, 1280]']);
  expect(xl.filter((line) => line.includes('additional_residual'))).toHaveLength(10);
  const sizes = { latentHeight: 104, latentWidth: 152, unetBatch: 1 };
  expect(borders('controlnet-sdxl', 'controlnet', sizes).slice(0, 6)).toEqual([
    'in  sample f16 [1, 4, 104, 152]',
    'in  timestep f16 [1]',
    'in  encoder_hidden_states f16 [1, 2048, 1, 77]',
    'in  time_ids f16 [1, 6]',
    'in  text_embeds f16 [1, 1280]',
    'in  controlnet_cond f16 [1, 3, 832, 1216]',
  ]);
});

test('sizes that are asked for go before those of the config', () => {
  const sizes = { latentHeight: 96, latentWidth: 64, unetBatch: 1, textTokens: 154 };
  expect(borders('sd15', 'unet', sizes)).toEqual([
    'in  sample f16 [1, 4, 96, 64]',
    'in  timestep f16 [1]',
    'in  encoder_hidden_states f16 [1, 768, 1, 154]',
    'out noise_pred f32 [1, 4, 96, 64]',
  ]);
  expect(borders('sd15', 'vae_encoder', sizes)).toContain('in  x f16 [1, 3, 768, 512]');
});

test('the latents of a VAE are as large as the UNet of its checkpoint makes them', () => {
  expect(borders('sd15', 'vae_decoder')).toContain('in  z f16 [1, 4, 64, 64]');
  expect(borders('sd21', 'vae_encoder')).toContain('in  x f16 [1, 3, 768, 768]');
});

test('a VAE alone, which does not know for which latents it is, says what it needs', () => {
  const { components, ...checkpoint } = fullSizeCheckpoint('sd15');
  const alone = { ...checkpoint, components: new Map([...components].filter(([name]) => name === 'vae')) };
  const options = {
    contract: appleContract,
    attention: 'SPLIT_EINSUM',
    sizes: { latentHeight: 64 },
  } as const;
  expect(() => convert(alone, options)).toThrow('the size of the latents is unknown');
});

/** The inputs and outputs of a model, in order. */
function borders(of: FullSizeModel | Checkpoint, model: NetworkName, sizes: Sizes = {}): string[] {
  const checkpoint = typeof of === 'string' ? fullSizeCheckpoint(of) : of;
  const options = { models: [model], contract: appleContract, attention: 'SPLIT_EINSUM', sizes } as const;
  const [built] = convert(checkpoint, options);
  if (!built) throw new Error('nothing was built');
  verifyGraph(built.graph);
  const { inputs, outputs } = built.graph;
  return [
    ...inputs.map(({ name: at, dtype, shape }) => `in  ${at} ${dtype} ${formatShape(shape)}`),
    ...outputs.map(({ name: at, tensor: { dtype, shape } }) => `out ${at} ${dtype} ${formatShape(shape)}`),
  ];
}
