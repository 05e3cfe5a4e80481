import { expect, test } from 'vitest';
import { type Part, splitSingleFile } from '../../../src/checkpoint/single-file/split.ts';
import { FileFormatError, UnusedWeightError } from '../../../src/errors.ts';
import { fullSizeCheckpoint } from '../../support/full-size.ts';
import {
  headerFile,
  type RecordedFile,
  recordedFiles,
  recordedPlaces,
  recordedSingleFile,
  smallFilePlaces,
} from '../../support/single-file.ts';
import { thrownBy } from '../../support/thrown-by.ts';

/** `unet/conv_in.weight`, sorted. */
function placesOf(parts: ReturnType<typeof splitSingleFile>): string[] {
  return [...parts].flatMap(([part, weights]) => [...weights.keys()].map((name) => `${part}/${name}`)).sort();
}

/** The original name of each; a weight of `headerFile` keeps it, whatever it is renamed to. */
function originsOf(parts: ReturnType<typeof splitSingleFile>): Record<string, string> {
  return Object.fromEntries(
    [...parts].flatMap(([part, weights]) =>
      [...weights.values()].map(({ name, file }) => [`${part}/${name}`, file]),
    ),
  );
}

function shapesOf(file: RecordedFile): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(recordedPlaces(file)).map(([name, [shape]]) => [name, shape]));
}

test.for(recordedFiles)('each tensor of the original %s goes where diffusers puts it', (name) => {
  const recorded = Object.entries(recordedPlaces(name));
  const found = originsOf(splitSingleFile(recordedSingleFile(name)));
  expect(found).toEqual(
    Object.fromEntries(recorded.flatMap(([key, [, places]]) => places.map((place) => [place, key]))),
  );
});

test.for([
  ['sd15', 'sd15'],
  ['sd21', 'sd21'],
  ['sdxl', 'sdxl'],
  ['sdxl-refiner', 'sdxl-refiner'],
  ['controlnet-sd15', 'controlnet-sd15'],
] as const)('the original %s has the shapes of its diffusers folder', ([name, folder]) => {
  const parts = splitSingleFile(recordedSingleFile(name));
  for (const [component, { weights }] of fullSizeCheckpoint(folder).components) {
    // as: the components of these models are parts of a single file.
    const found = parts.get(component as Part) ?? new Map();
    const shapes = [...weights.values()].map(({ name, shape }) => [name, shape]);
    expect(Object.fromEntries([...found.values()].map(({ name, shape }) => [name, shape]))).toEqual(
      Object.fromEntries(shapes),
    );
  }
});

test('the names of a small file that others wrote are those of its folder, one to one', () => {
  const places = Object.entries(smallFilePlaces()).filter(([name]) => !name.endsWith('.position_ids'));
  const file = headerFile(Object.fromEntries(places.map(([name]) => [name, [3]])));
  expect(originsOf(splitSingleFile(file))).toEqual(
    Object.fromEntries(places.map(([name, place]) => [place, name])),
  );
});

test('what files carry beside the networks is left aside', () => {
  const extras = [
    'betas',
    'alphas_cumprod_prev',
    'sqrt_recipm1_alphas_cumprod',
    'posterior_mean_coef1',
    'logvar',
    'model_ema.decay',
    'model_ema.diffusion_modelinput_blocks00weight',
    'cond_stage_model.transformer.text_model.embeddings.position_ids',
    'cond_stage_model.logit_scale',
    'cond_stage_model.text_projection',
    'first_stage_model.loss.discriminator.main.0.weight',
    'v_pred',
    'ztsnr',
  ];
  const file = headerFile({ ...shapesOf('sd15'), ...Object.fromEntries(extras.map((name) => [name, [1]])) });
  expect(placesOf(splitSingleFile(file))).toEqual(placesOf(splitSingleFile(recordedSingleFile('sd15'))));
});

test('tensors that belong to nothing are refused', () => {
  const error = thrownBy(() =>
    splitSingleFile(headerFile({ ...shapesOf('sd15'), 'lora_te_text_model.alpha': [1], edm_mean: [4] })),
  );
  expect(error).toBeInstanceOf(UnusedWeightError);
  expect(error.problem).toBe('model.safetensors has 2 tensors that no network of Stable Diffusion has.');
  expect(error.details).toEqual({ first: 'lora_te_text_model.alpha', tensors: '2 of 1,132' });
});

test.for([
  ['a VAE in both namings', 'vae.encoder.down_blocks.0.resnets.0.conv1.weight', 'vae'],
  ['a second VAE in the same naming', 'vae.encoder.down.0.block.0.conv1.weight', 'vae'],
  ['a second text encoder', 'cond_stage_model.model.token_embedding.weight', 'text_encoder'],
] as const)('%s is refused', ([, name, part]) => {
  const error = thrownBy(() => splitSingleFile(headerFile({ ...shapesOf('sd15'), [name]: [1] })));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toBe(`model.safetensors holds two networks that could be its ${part}.`);
  expect(error.details.second ?? '').toContain(name.split('.')[0]);
});

test('a network with diffusers’ names inside an original file is taken as it is', () => {
  const vae = fullSizeCheckpoint('sd15').components.get('vae')?.weights ?? new Map();
  const inFile = [...vae.values()].map(({ name, shape }) => [`first_stage_model.${name}`, shape]);
  const unet = Object.entries(shapesOf('sd15')).filter(([name]) => name.startsWith('model.'));
  const parts = splitSingleFile(headerFile(Object.fromEntries([...unet, ...inFile])));
  expect([...(parts.get('vae')?.keys() ?? [])]).toEqual([...vae.keys()]);
});

test('a text encoder whose names lack their first part is found', () => {
  const old = Object.entries(shapesOf('sd15')).map(([name, shape]) => [
    name.replace('.transformer.text_model.', '.transformer.'),
    shape,
  ]);
  const parts = splitSingleFile(headerFile(Object.fromEntries(old)));
  expect(parts.get('text_encoder')?.has('text_model.final_layer_norm.weight')).toBe(true);
});
