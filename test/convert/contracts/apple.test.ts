import { expect, test } from 'vitest';
import { appleContract } from '../../../src/convert/contracts/apple.ts';
import type { ModelName, Sizes } from '../../../src/convert/contracts/contract.ts';
import { convert } from '../../../src/convert/convert.ts';
import { formatShape } from '../../../src/graph/shape.ts';
import { verifyGraph } from '../../../src/graph/verify.ts';
import { fullSizeCheckpoint } from '../../support/full-size.ts';

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
  expect(() => convert(alone, options)).toThrow('the size of the latents is not known');
});

/** The inputs and outputs of a model, in order. */
function borders(name: 'sd15' | 'sd21-base' | 'sd21', model: ModelName, sizes: Sizes = {}): string[] {
  const options = { models: [model], contract: appleContract, attention: 'SPLIT_EINSUM', sizes } as const;
  const [built] = convert(fullSizeCheckpoint(name), options);
  if (!built) throw new Error('nothing was built');
  verifyGraph(built.graph);
  const { inputs, outputs } = built.graph;
  return [
    ...inputs.map(({ name: at, dtype, shape }) => `in  ${at} ${dtype} ${formatShape(shape)}`),
    ...outputs.map(({ name: at, tensor: { dtype, shape } }) => `out ${at} ${dtype} ${formatShape(shape)}`),
  ];
}
