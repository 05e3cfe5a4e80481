import { expect, test } from 'vitest';
import { attentionImplementations } from '../../../src/convert/blocks/attention.ts';
import type { ModelName, Sizes } from '../../../src/convert/contracts/contract.ts';
import { optimumContract } from '../../../src/convert/contracts/optimum.ts';
import { convert } from '../../../src/convert/convert.ts';
import { formatShape } from '../../../src/graph/shape.ts';
import { fullSizeCheckpoint } from '../../support/full-size.ts';

test('the models have the inputs and outputs that optimum’s pipelines feed and read, in every attention', () => {
  for (const attention of attentionImplementations) {
    expect(borders('text_encoder', attention)).toEqual([
      'in  input_ids i64 [batch_size, 77]',
      'out last_hidden_state f32 [batch_size, 77, 768]',
      'out pooler_output f32 [batch_size, 768]',
    ]);
    expect(borders('vae_decoder', attention)).toEqual([
      'in  latent_sample f32 [batch_size, 4, latent_height, latent_width]',
      'out sample f32 [batch_size, 3, latent_height * 8, latent_width * 8]',
    ]);
    expect(borders('vae_encoder', attention)).toEqual([
      'in  sample f32 [batch_size, 3, sample_height, sample_width]',
      'out latent_parameters f32 [batch_size, 8, sample_height / 8, sample_width / 8]',
    ]);
  }
  for (const attention of ['ORIGINAL', 'SPLIT_EINSUM'] as const) {
    expect(borders('unet', attention)).toEqual([
      'in  sample f32 [batch_size, 4, height, width]',
      'in  timestep f32 []',
      'in  encoder_hidden_states f32 [batch_size, sequence_length, 768]',
      'out out_sample f32 [batch_size, 4, height, width]',
    ]);
  }
});

test('an attention in chunks of queries fixes height and width: to the config’s, or to those that are asked for', () => {
  expect(borders('unet', 'SPLIT_EINSUM_V2')).toEqual([
    'in  sample f32 [batch_size, 4, 64, 64]',
    'in  timestep f32 []',
    'in  encoder_hidden_states f32 [batch_size, sequence_length, 768]',
    'out out_sample f32 [batch_size, 4, 64, 64]',
  ]);
  expect(borders('unet', 'SPLIT_EINSUM_V2', { latentHeight: 96 })).toContain(
    'in  sample f32 [batch_size, 4, 96, 64]',
  );
});

test('sizes that are asked for are fixed, the others stay free', () => {
  const sizes = { latentHeight: 96, textTokens: 154 };
  expect(borders('unet', 'ORIGINAL', sizes)).toEqual([
    'in  sample f32 [batch_size, 4, 96, width]',
    'in  timestep f32 []',
    'in  encoder_hidden_states f32 [batch_size, 154, 768]',
    'out out_sample f32 [batch_size, 4, 96, width]',
  ]);
  expect(borders('vae_decoder', 'ORIGINAL', sizes)).toEqual([
    'in  latent_sample f32 [batch_size, 4, 96, latent_width]',
    'out sample f32 [batch_size, 3, 768, latent_width * 8]',
  ]);
  expect(borders('vae_encoder', 'ORIGINAL', sizes)).toEqual([
    'in  sample f32 [batch_size, 3, 768, sample_width]',
    'out latent_parameters f32 [batch_size, 8, 96, sample_width / 8]',
  ]);
});

function borders(
  model: ModelName,
  attention: (typeof attentionImplementations)[number],
  sizes: Sizes = {},
): string[] {
  const options = { models: [model], contract: optimumContract, attention, sizes };
  return convert(fullSizeCheckpoint('sd15'), options).flatMap(({ graph }) => [
    ...graph.inputs.map(({ name, dtype, shape }) => `in  ${name} ${dtype} ${formatShape(shape)}`),
    ...graph.outputs.map(({ name, tensor }) => `out ${name} ${tensor.dtype} ${formatShape(tensor.shape)}`),
  ]);
}
