import { expect, test } from 'vitest';
import { type Part, type Parts, splitSingleFile } from '../../../src/checkpoint/single-file/split.ts';
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
function placesOf(parts: Parts): string[] {
  return [...parts].flatMap(([part, weights]) => [...weights.keys()].map((name) => `${part}/${name}`)).sort();
}

/** The original name of each; a weight of `headerFile` keeps it, whatever it is renamed to. */
function originsOf(parts: Parts): Record<string, string> {
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
  const found = originsOf(splitSingleFile(recordedSingleFile(name)).parts);
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
  const parts = splitSingleFile(recordedSingleFile(name)).parts;
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
  expect(originsOf(splitSingleFile(file).parts)).toEqual(
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
  expect(placesOf(splitSingleFile(file).parts)).toEqual(
    placesOf(splitSingleFile(recordedSingleFile('sd15')).parts),
  );
});

test('tensors that belong to nothing are left, in the order of the file', () => {
  const file = headerFile({ ...shapesOf('sd15'), 'lora_te_text_model.alpha': [1], edm_mean: [4] });
  const { parts, left } = splitSingleFile(file);
  expect(left).toEqual(['lora_te_text_model.alpha', 'edm_mean']);
  expect(placesOf(parts)).toEqual(placesOf(splitSingleFile(recordedSingleFile('sd15')).parts));
});

test('tensors within a network that it does not have are refused', () => {
  const inside = 'model.diffusion_model.output_blocks.3.4.weight';
  const other = 'model.diffusion_model.adapter.weight';
  const file = headerFile({ ...shapesOf('sd15'), [inside]: [4, 4], [other]: [4, 4] });
  const error = thrownBy(() => splitSingleFile(file));
  expect(error).toBeInstanceOf(UnusedWeightError);
  expect(error.problem).toBe(
    'model.safetensors has 2 tensors in its networks that no network of Stable Diffusion has.',
  );
  expect(error.details).toEqual({ first: inside, tensors: '2 of 1,132' });
});

test('what is there twice is taken once: the first spelling, whichever comes first', () => {
  const twice = {
    'first_stage_model.encoder.mid.attn_1.to_q.weight': [512, 512],
    ...shapesOf('sd15'),
    'first_stage_model.decoder.mid.attn_1.to_out.0.bias': [512],
  };
  const { parts, left } = splitSingleFile(headerFile(twice));
  expect(left).toEqual([
    'first_stage_model.encoder.mid.attn_1.to_q.weight',
    'first_stage_model.decoder.mid.attn_1.to_out.0.bias',
  ]);
  expect(originsOf(parts)['vae/encoder.mid_block.attentions.0.to_q.weight']).toBe(
    'first_stage_model.encoder.mid.attn_1.q.weight',
  );
  const misfit = { ...twice, 'first_stage_model.encoder.mid.attn_1.to_q.weight': [256, 512] };
  expect(thrownBy(() => splitSingleFile(headerFile(misfit))).problem).toBe(
    'a tensor of the vae is in model.safetensors under two names, in two shapes.',
  );
});

/** Names as scripts leave them that make single files of diffusers' folders. */
test.for([
  ['as convolutions', (shape: readonly number[]) => shape],
  ['as matrices', (shape: readonly number[]) => shape.slice(0, shape.length === 4 ? 2 : 1)],
] as const)('a VAE’s attention may have diffusers’ new names behind the old ones, %s', ([, reshape]) => {
  const spellings = { q: 'to_q', k: 'to_k', v: 'to_v', proj_out: 'to_out.0' };
  const shapes = Object.entries(shapesOf('sd15')).map(([name, shape]) => {
    const [, head, own, tail] = /^(.+\.attn_1\.)(q|k|v|proj_out)(\..+)$/.exec(name) ?? [];
    // as: the pattern has no other names.
    return own
      ? [`${head}${spellings[own as keyof typeof spellings]}${tail}`, reshape(shape)]
      : [name, shape];
  });
  const { parts, left } = splitSingleFile(headerFile(Object.fromEntries(shapes)));
  expect(left).toEqual([]);
  const published = fullSizeCheckpoint('sd15').components.get('vae')?.weights ?? new Map();
  for (const { name, shape } of published.values())
    expect([name, parts.get('vae')?.get(name)?.shape]).toEqual([name, shape]);
});

test.for([
  ['a VAE in both namings', 'vae.encoder.down_blocks.0.resnets.0.conv1.weight', 'vae'],
  ['a second VAE in the same naming', 'vae.encoder.down.0.block.0.conv1.weight', 'vae'],
  ['a second text encoder', 'cond_stage_model.model.token_embedding.weight', 'text_encoder'],
] as const)('%s is refused', ([, name, part]) => {
  const error = thrownBy(() => splitSingleFile(headerFile({ ...shapesOf('sd15'), [name]: [1] })).parts);
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toBe(`model.safetensors holds two networks that could be its ${part}.`);
  expect(error.details.second ?? '').toContain(name.split('.')[0]);
});

test('a tie between two is seen although one of a lesser claim came before', () => {
  const first = { 'odd.one.output_blocks.0.0.x': [1], 'odd.two.output_blocks.0.0.x': [1] };
  const second = { 'unet.output_blocks.0.0.x': [1] };
  const error = thrownBy(() => splitSingleFile(headerFile({ ...first, ...shapesOf('sd15'), ...second })));
  expect(error.problem).toBe('model.safetensors holds two networks that could be its unet.');
});

test('a network with diffusers’ names inside an original file is taken as it is', () => {
  const vae = fullSizeCheckpoint('sd15').components.get('vae')?.weights ?? new Map();
  const inFile = [...vae.values()].map(({ name, shape }) => [`first_stage_model.${name}`, shape]);
  const unet = Object.entries(shapesOf('sd15')).filter(([name]) => name.startsWith('model.'));
  const parts = splitSingleFile(headerFile(Object.fromEntries([...unet, ...inFile]))).parts;
  expect([...(parts.get('vae')?.keys() ?? [])]).toEqual([...vae.keys()]);
});

test('a text encoder whose names lack their first part is found', () => {
  const old = Object.entries(shapesOf('sd15')).map(([name, shape]) => [
    name.replace('.transformer.text_model.', '.transformer.'),
    shape,
  ]);
  const parts = splitSingleFile(headerFile(Object.fromEntries(old))).parts;
  expect(parts.get('text_encoder')?.has('text_model.final_layer_norm.weight')).toBe(true);
});
