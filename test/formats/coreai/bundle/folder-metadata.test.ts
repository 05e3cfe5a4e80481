import { expect, test } from 'vitest';
import {
  type CoreAiFolder,
  folderMetadata,
  folderNotes,
} from '../../../../src/formats/coreai/bundle/folder-metadata.ts';
import { type FullSizeModel, fullSizeCheckpoint } from '../../../support/full-size.ts';

const plain = {
  _class_name: 'PNDMScheduler',
  beta_schedule: 'scaled_linear',
  beta_start: 0.00085,
  beta_end: 0.012,
  num_train_timesteps: 1000,
};

function folder(name: FullSizeModel, change: Partial<CoreAiFolder> = {}): CoreAiFolder {
  return {
    checkpoint: fullSizeCheckpoint(name),
    assets: ['TextEncoder.aimodel', 'Unet.aimodel', 'VAEDecoder.aimodel'],
    settings: { scheduler: plain, latentScale: { factor: 0.18215, shift: 0 } },
    sizes: {},
    ...change,
  };
}

test('Stable Diffusion XL has its own type, size and scale', () => {
  const settings = { scheduler: plain, latentScale: { factor: 0.13025, shift: 0 } };
  expect(folderMetadata(folder('sdxl', { settings })).diffusion).toEqual({
    type: 'stable-diffusion-xl',
    prediction_type: 'epsilon',
    image_size: 1024,
    scheduler: { training_steps: 1000, beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear' },
    encoder_scale_factor: 0.13025,
    decoder_scale_factor: 0.13025,
    decoder_shift_factor: 0,
  });
});

test('a refiner alone is an asset of a UNet, of which no pipeline of Apple’s makes a picture', () => {
  expect(folderNotes(folder('sdxl-refiner'))).toContainEqual(
    expect.stringContaining('do not draw with a refiner;'),
  );
});

test('a size that was asked for is the size of pictures', () => {
  const sizes = { latentHeight: 64, latentWidth: 64 };
  expect(folderMetadata(folder('sd21', { sizes }))).toMatchObject({ diffusion: { image_size: 512 } });
});

test('every asset has a key, those that Apple’s pipelines read the keys that they look for', () => {
  const assets = [
    'ControlNet_lllyasviel_canny.aimodel',
    'ControlNet_lllyasviel_depth.aimodel',
    'ControlledUnet.aimodel',
    'TextEncoder.aimodel',
    'Unet.aimodel',
    'UnetRefiner.aimodel',
    'VAEEncoder.aimodel',
  ];
  expect(folderMetadata(folder('sd15', { assets })).assets).toEqual({
    ControlNet_lllyasviel_canny: 'ControlNet_lllyasviel_canny.aimodel',
    ControlNet_lllyasviel_depth: 'ControlNet_lllyasviel_depth.aimodel',
    control_unet: 'ControlledUnet.aimodel',
    text_encoder: 'TextEncoder.aimodel',
    unet: 'Unet.aimodel',
    refiner: 'UnetRefiner.aimodel',
    vae_encoder: 'VAEEncoder.aimodel',
  });
});

test('what Apple’s pipelines do as diffusers does is not noted', () => {
  expect(folderNotes(folder('sd15'))).toEqual([]);
  const settings = { scheduler: { ...plain, _class_name: 'DPMSolverMultistepScheduler' } };
  expect(folderNotes(folder('sd15', { settings }))).toEqual([]);
});

test.each([
  [{ _class_name: 'EulerDiscreteScheduler' }, 'no EulerDiscreteScheduler'],
  [{ beta_schedule: 'linear' }, 'not linear'],
  [{ rescale_betas_zero_snr: true }, 'zero terminal SNR'],
  [{ prediction_type: 'sample' }, 'predict sample'],
  [{ prediction_type: 'v_prediction' }, 'draw with DPM-Solver++'],
])('a scheduler with %o is noted once', (change, note) => {
  const notes = folderNotes(folder('sd15', { settings: { scheduler: { ...plain, ...change } } }));
  expect(notes).toEqual([expect.stringContaining(note)]);
});

test('what needs Swift of one’s own is noted', () => {
  expect(
    folderNotes(folder('sd15-inpainting', { assets: ['Unet.aimodel', 'ControlNet_x.aimodel'] })),
  ).toEqual([
    'Apple’s Core AI pipelines do not draw with a UNet for inpainting, ControlNets; what Swift of your own passes in: https://github.com/sdconvert/sdconvert/blob/main/docs/core-ai.md',
  ]);
  const [note] = folderNotes(folder('sd15', { settings: { latentScale: { factor: 1, shift: 0.1 } } }));
  expect(note).toContain('do not shift latents');
  expect(folderNotes(folder('sd15', { sizes: { textTokens: 154 } }))).toHaveLength(1);
  expect(folderNotes(folder('sd15', { sizes: { latentHeight: 64, latentWidth: 96 } }))).toHaveLength(1);
});

test('a tokenizer that pads otherwise than the text encoder expects is noted', () => {
  const padding = { tokenizer: '<|endoftext|>', tokenizer_2: '!' };
  const settings = { padding };
  expect(folderNotes(folder('sdxl', { settings }))).toEqual([]);
  expect(folderNotes(folder('sd15', { settings }))).toEqual([]);
  expect(folderNotes(folder('sd21', { settings }))).toEqual([
    'the tokenizer pads with <|endoftext|>, and the text_encoder for Core AI is padded with !: pictures differ.',
  ]);
});
