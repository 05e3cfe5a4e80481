import { expect, test } from 'vitest';
import { attentionImplementations } from '../../../src/convert/blocks/attention.ts';
import type { Sizes } from '../../../src/convert/contracts/contract.ts';
import { optimumContract } from '../../../src/convert/contracts/optimum.ts';
import { convert } from '../../../src/convert/convert.ts';
import type { NetworkName } from '../../../src/convert/networks/networks.ts';
import { formatShape } from '../../../src/graph/shape.ts';
import { type FullSizeModel, fullSizeCheckpoint } from '../../support/full-size.ts';

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

test('Stable Diffusion XL has what optimum exports of it', () => {
  const hidden = (layers: number, width: number) =>
    Array.from({ length: layers + 1 }, (_, i) => `out hidden_states.${i} f32 [batch_size, 77, ${width}]`);
  expect(borders('text_encoder', 'ORIGINAL', {}, 'sdxl')).toEqual([
    'in  input_ids i64 [batch_size, 77]',
    'out last_hidden_state f32 [batch_size, 77, 768]',
    'out pooler_output f32 [batch_size, 768]',
    ...hidden(12, 768),
  ]);
  expect(borders('text_encoder_2', 'ORIGINAL', {}, 'sdxl')).toEqual([
    'in  input_ids i64 [batch_size, 77]',
    'out text_embeds f32 [batch_size, 1280]',
    'out last_hidden_state f32 [batch_size, 77, 1280]',
    ...hidden(32, 1280),
  ]);
  expect(borders('unet', 'ORIGINAL', {}, 'sdxl')).toEqual([
    'in  sample f32 [batch_size, 4, height, width]',
    'in  timestep f32 []',
    'in  encoder_hidden_states f32 [batch_size, sequence_length, 2048]',
    'in  text_embeds f32 [batch_size, 1280]',
    'in  time_ids f32 [batch_size, 6]',
    'out out_sample f32 [batch_size, 4, height, width]',
  ]);
  expect(borders('unet', 'ORIGINAL', {}, 'sdxl-refiner')).toContain('in  time_ids f32 [batch_size, 5]');
});

test('a UNet for a ControlNet reads what the ControlNet gives, in diffusers’ names', () => {
  const residuals = borders('controlnet', 'ORIGINAL', {}, 'controlnet-sdxl');
  expect(residuals).toEqual([
    'in  sample f32 [batch_size, 4, height, width]',
    'in  timestep f32 []',
    'in  encoder_hidden_states f32 [batch_size, sequence_length, 2048]',
    'in  text_embeds f32 [batch_size, 1280]',
    'in  time_ids f32 [batch_size, 6]',
    'in  controlnet_cond f32 [batch_size, 3, height * 8, width * 8]',
    'out down_block_res_sample_0 f32 [batch_size, 320, height, width]',
    'out down_block_res_sample_1 f32 [batch_size, 320, height, width]',
    'out down_block_res_sample_2 f32 [batch_size, 320, height, width]',
    'out down_block_res_sample_3 f32 [batch_size, 320, height / 2, width / 2]',
    'out down_block_res_sample_4 f32 [batch_size, 640, height / 2, width / 2]',
    'out down_block_res_sample_5 f32 [batch_size, 640, height / 2, width / 2]',
    'out down_block_res_sample_6 f32 [batch_size, 640, height / 4, width / 4]',
    'out down_block_res_sample_7 f32 [batch_size, 1280, height / 4, width / 4]',
    'out down_block_res_sample_8 f32 [batch_size, 1280, height / 4, width / 4]',
    'out mid_block_res_sample f32 [batch_size, 1280, height / 4, width / 4]',
  ]);
  expect(borders('control-unet', 'ORIGINAL', {}, 'sdxl').slice(5, -1)).toEqual(
    residuals
      .slice(6)
      .map((line) => line.replace('out ', 'in  ').replace('res_sample', 'additional_residual')),
  );
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
  model: NetworkName,
  attention: (typeof attentionImplementations)[number],
  sizes: Sizes = {},
  name: FullSizeModel = 'sd15',
): string[] {
  const options = { models: [model], contract: optimumContract, attention, sizes };
  return convert(fullSizeCheckpoint(name), options).flatMap(({ graph }) => [
    ...graph.inputs.map(({ name: at, dtype, shape }) => `in  ${at} ${dtype} ${formatShape(shape)}`),
    ...graph.outputs.map(({ name: at, tensor }) => `out ${at} ${tensor.dtype} ${formatShape(tensor.shape)}`),
  ]);
}
