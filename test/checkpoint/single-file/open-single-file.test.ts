import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { requireComponent } from '../../../src/checkpoint/checkpoint.ts';
import { sideFileName } from '../../../src/checkpoint/side-file.ts';
import { readSingleFile } from '../../../src/checkpoint/single-file/open-single-file.ts';
import { networksOf } from '../../../src/convert/convert.ts';
import {
  ConfigError,
  FileFormatError,
  UnsupportedModelError,
  UnusedWeightError,
} from '../../../src/errors.ts';
import { readJsonObject } from '../../../src/io/json/python-json.ts';
import { fullSizeCheckpoint } from '../../support/full-size.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import {
  headerFile,
  type RecordedFile,
  recordedPlaces,
  recordedSingleFile,
} from '../../support/single-file.ts';
import { rejectionOf, thrownBy } from '../../support/thrown-by.ts';

type Shapes = Record<string, readonly number[]>;

const conv = 'model.diffusion_model.input_blocks.0.0.weight';

function shapesOf(file: RecordedFile, keep: RegExp = /./): Shapes {
  const all = Object.entries(recordedPlaces(file)).filter(([name]) => keep.test(name));
  return Object.fromEntries(all.map(([name, [shape]]) => [name, shape]));
}

async function schedulerOf({ folders }: Awaited<ReturnType<typeof readSingleFile>>) {
  const [file = ''] = (folders.get('scheduler') ?? []).map(String);
  expect(basename(file)).toBe('scheduler_config.json');
  return readJsonObject(file);
}

test.for([
  ['sd15', 'sd1', 'StableDiffusionPipeline', 'PNDMScheduler', 'epsilon'],
  ['sd21', 'sd2', 'StableDiffusionPipeline', 'DDIMScheduler', 'v_prediction'],
  ['sdxl', 'sdxl', 'StableDiffusionXLPipeline', 'EulerDiscreteScheduler', 'epsilon'],
  ['sdxl-refiner', 'sdxl-refiner', 'StableDiffusionXLImg2ImgPipeline', 'EulerDiscreteScheduler', 'epsilon'],
] as const)(
  'the single file of %s is the folder that was published',
  async ([name, family, pipeline, scheduler, prediction]) => {
    const checkpoint = await readSingleFile(recordedSingleFile(name));
    expect(checkpoint).toMatchObject({ name, family, kind: 'base', missing: [] });
    expect(checkpoint.modelIndex).toMatchObject({
      _class_name: pipeline,
      scheduler: ['diffusers', scheduler],
    });
    expect(await schedulerOf(checkpoint)).toMatchObject({
      _class_name: scheduler,
      prediction_type: prediction,
    });

    const published = fullSizeCheckpoint(name);
    for (const [part, { config }] of published.components) {
      const found = requireComponent(checkpoint, part);
      expect(found.adapted).toBe(true);
      const both = Object.keys(found.config).filter((key) => key in config);
      expect(both.length).toBeGreaterThan(10);
      const picked = both.map((key) => [key, config[key]]);
      expect(found.config, part).toMatchObject(Object.fromEntries(picked));
    }
  },
);

test.for([
  ['sd15', ['tokenizer'], ['<|endoftext|>']],
  ['sd21', ['tokenizer'], ['!']],
  ['sdxl', ['tokenizer', 'tokenizer_2'], ['<|endoftext|>', '!']],
  ['sdxl-refiner', ['tokenizer_2'], ['!']],
] as const)('%s has the tokenizers of its text encoders', async ([name, folders, padding]) => {
  const checkpoint = await readSingleFile(recordedSingleFile(name));
  const tokenizers = [...checkpoint.folders].filter(([folder]) => folder.startsWith('tokenizer'));
  expect(tokenizers.map(([folder]) => folder)).toEqual(folders);
  for (const [at, [, files]] of tokenizers.entries()) {
    expect(files.map(sideFileName)).toEqual([
      'merges.txt',
      'special_tokens_map.json',
      'tokenizer_config.json',
      'vocab.json',
    ]);
    expect(await readJsonObject(String(files[2]))).toMatchObject({
      pad_token: padding[at],
      model_max_length: 77,
    });
    expect(Object.keys(await readJsonObject(String(files[3])))).toHaveLength(49_408);
  }
});

test.for([
  ['sd15', 9, 'inpainting', 'StableDiffusionInpaintPipeline'],
  ['sd15', 8, 'pix2pix', 'StableDiffusionInstructPix2PixPipeline'],
  ['sdxl', 9, 'inpainting', 'StableDiffusionXLInpaintPipeline'],
] as const)('a UNet of %s that reads %i channels is for %s', async ([name, channels, kind, pipeline]) => {
  const shape = recordedPlaces(name)[conv]?.[0] ?? [];
  const file = headerFile({ ...shapesOf(name), [conv]: shape.with(1, channels) });
  const checkpoint = await readSingleFile(file);
  expect(checkpoint.kind).toBe(kind);
  expect(checkpoint.modelIndex._class_name).toBe(pipeline);
  expect(requireComponent(checkpoint, 'unet').config).toMatchObject({
    in_channels: channels,
    out_channels: 4,
  });
});

test('a file without VAE or text encoder is opened, and says so', async () => {
  const checkpoint = await readSingleFile(headerFile(shapesOf('sd15', /^model\./)));
  expect([...checkpoint.components.keys()]).toEqual(['unet']);
  expect(checkpoint.missing).toEqual(['text_encoder', 'vae']);
  expect(checkpoint.notes).toEqual([
    'model.safetensors has no text_encoder and no vae: the rest is converted.',
  ]);
  const error = thrownBy(() => requireComponent(checkpoint, 'vae'));
  expect(error.problem).toBe('model.safetensors has no vae.');
});

test.for([
  ['original', (name: string) => name.replace('first_stage_model.', '')],
  ['prefixed', (name: string) => name],
] as const)('a VAE alone is opened: its names are %s', async ([, rename]) => {
  const vae = Object.entries(shapesOf('sd15', /^first_stage_model\./)).map(([name, shape]) => [
    rename(name),
    shape,
  ]);
  const checkpoint = await readSingleFile(headerFile(Object.fromEntries(vae)));
  expect([...checkpoint.components.keys()]).toEqual(['vae']);
  expect(checkpoint).toMatchObject({ family: 'sd1', kind: undefined, missing: ['text_encoder', 'unet'] });
});

test.for(['unet', 'vae'] as const)('a %s alone with diffusers’ names is opened', async (part) => {
  const { weights } = requireComponent(fullSizeCheckpoint('sd21'), part);
  const shapes = [...weights.values()].map(({ name, shape }) => [name, shape]);
  const checkpoint = await readSingleFile(headerFile(Object.fromEntries(shapes)));
  expect([...(checkpoint.components.get(part)?.weights.keys() ?? [])]).toEqual([...weights.keys()]);
});

test.for([
  [['v_pred'], 'sdxl', 'EulerDiscreteScheduler', undefined],
  [['v_pred', 'ztsnr'], 'sdxl', 'EulerDiscreteScheduler', true],
  [['v_pred', 'ztsnr'], 'sd15', 'DDIMScheduler', true],
] as const)('tensors named %o set the scheduler of %s', async ([marks, name, scheduler, zeroSnr]) => {
  const file = headerFile({ ...shapesOf(name), ...Object.fromEntries(marks.map((mark) => [mark, []])) });
  const checkpoint = await readSingleFile(file);
  const config = await schedulerOf(checkpoint);
  expect(config).toMatchObject({ _class_name: scheduler, prediction_type: 'v_prediction' });
  expect(config.rescale_betas_zero_snr).toBe(zeroSnr);
  if (zeroSnr) expect(config.timestep_spacing).toBe('trailing');
  expect(checkpoint.notes.join()).toContain('predicts v');
});

test.for([
  ['model.safetensors', {}, 'v_prediction', 96, 'have the same shapes'],
  ['v2-1_512-ema-pruned.safetensors', {}, 'epsilon', 64, 'the file name contains 512'],
  ['model.safetensors', { 'modelspec.prediction_type': 'epsilon' }, 'epsilon', 64, ''],
  [
    'model.safetensors',
    { 'modelspec.architecture': 'stable-diffusion-v2-768-v' },
    'v_prediction',
    96,
    'metadata',
  ],
  ['512.safetensors', { 'modelspec.prediction_type': 'v' }, 'v_prediction', 96, 'metadata'],
] as const)('%s of 2.x with metadata %o predicts %s', async ([path, metadata, prediction, size, note]) => {
  const checkpoint = await readSingleFile(headerFile(shapesOf('sd21'), path, metadata));
  expect(await schedulerOf(checkpoint)).toMatchObject({ prediction_type: prediction });
  expect(requireComponent(checkpoint, 'unet').config.sample_size).toBe(size);
  expect(checkpoint.notes).toHaveLength(note === '' ? 0 : 1);
  expect(checkpoint.notes.join()).toContain(note);
});

test.for([
  [0.12, 'v_prediction', 96],
  [0.06, 'epsilon', 64],
] as const)(
  '2.x with a bias that varies by %d predicts %s, as in ComfyUI',
  async ([deviation, type, size]) => {
    const mark = 'model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias';
    const file = headerFile(shapesOf('sd21'));
    const data = Float32Array.from({ length: 320 }, (_, i) => (i % 2 === 0 ? deviation : -deviation));
    const weights = new Map(file.weights).set(mark, memoryWeight(mark, [320], data));
    const checkpoint = await readSingleFile({ ...file, weights });
    expect(await schedulerOf(checkpoint)).toMatchObject({ prediction_type: type });
    expect(requireComponent(checkpoint, 'unet').config.sample_size).toBe(size);
    expect(checkpoint.notes.join()).toContain('the bias that ComfyUI tests');
  },
);

test.for([
  ['sd15', 'v_prediction', 'DDIMScheduler'],
  ['sd21', 'epsilon', 'PNDMScheduler'],
  ['sdxl', 'v_prediction', 'EulerDiscreteScheduler'],
] as const)(
  'what is asked for counts before all marks: %s with %s',
  async ([name, predictionType, scheduler]) => {
    const file = headerFile({ ...shapesOf(name), v_pred: [0], ztsnr: [0] });
    const checkpoint = await readSingleFile(file, { predictionType });
    expect(await schedulerOf(checkpoint)).toMatchObject({
      _class_name: scheduler,
      prediction_type: predictionType,
      ...(predictionType === 'v_prediction' && { rescale_betas_zero_snr: true }),
    });
  },
);

test('SD-Turbo has the text encoder of 2.x under XL’s names, predicts noise and is drawn in one step', async () => {
  const shapes = Object.entries(shapesOf('sd21')).map(([name, shape]) => [
    name.replace('cond_stage_model.model.', 'conditioner.embedders.0.model.'),
    shape,
  ]);
  const checkpoint = await readSingleFile(headerFile(Object.fromEntries(shapes)));
  expect(checkpoint).toMatchObject({ family: 'sd2', missing: [] });
  expect([...checkpoint.components.keys()]).toEqual(['text_encoder', 'unet', 'vae']);
  expect(await schedulerOf(checkpoint)).toMatchObject({
    prediction_type: 'epsilon',
    timestep_spacing: 'trailing',
  });
  const told = await readSingleFile(headerFile(Object.fromEntries(shapes)), { predictionType: 'epsilon' });
  expect(await schedulerOf(told)).toEqual(await schedulerOf(checkpoint));
});

test('Playground’s latents have means and deviations of their own, and its scheduler is that of EDM', async () => {
  const file = headerFile(shapesOf('sdxl'));
  const weights = new Map(file.weights)
    .set('edm_mean', memoryWeight('edm_mean', [1, 4, 1, 1], Float32Array.of(-1.5, 0.5, 2, 0.25)))
    .set('edm_std', memoryWeight('edm_std', [1, 4, 1, 1], Float32Array.of(8, 10, 9, 7)));
  const checkpoint = await readSingleFile({ ...file, weights }, { strict: true });
  const vae = requireComponent(checkpoint, 'vae');
  expect(vae.config).toMatchObject({
    latents_mean: [-1.5, 0.5, 2, 0.25],
    latents_std: [8, 10, 9, 7],
    scaling_factor: 0.5,
  });
  expect(vae.fileOfKey?.latents_std, 'to blame for them').toBe(weights.get('edm_mean')?.file);
  expect((await schedulerOf(checkpoint))._class_name).toBe('EDMDPMSolverMultistepScheduler');
  expect(checkpoint.notes.join()).toContain('Playground v2.5');
  const told = await readSingleFile({ ...file, weights }, { predictionType: 'epsilon' });
  expect(await schedulerOf(told)).toEqual(await schedulerOf(checkpoint));
});

test('statistics of more channels than latents have are refused before they are read', async () => {
  const file = headerFile({ ...shapesOf('sdxl'), edm_mean: [2 ** 30], edm_std: [2 ** 30] });
  const error = await rejectionOf(readSingleFile(file));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.details).toEqual({ edm_mean: '[1073741824]', edm_std: '[1073741824]' });
});

test('what lies beside the networks is named once with counts, and refused where that is asked for', async () => {
  const junk = {
    alphas_cumprod_original: [1000],
    'optimizer_state.step': [],
    'lora_unet_dummy.alpha': [],
    'cond_stage_model.transformer.vision_model.embeddings.class_embedding': [8],
    'cond_stage_model.transformer.vision_model.post_layernorm.weight': [8],
    'first_stage_model.model_ema.decay': [],
  };
  const file = headerFile({ ...shapesOf('sd15'), ...junk });
  const checkpoint = await readSingleFile(file);
  expect(checkpoint.missing).toEqual([]);
  expect(checkpoint.notes).toEqual([
    'model.safetensors has 6 tensors outside of its networks, ignored: cond_stage_model.transformer.vision_model (2), alphas_cumprod_original, optimizer_state.step, lora_unet_dummy.alpha, first_stage_model.model_ema.decay.',
  ]);
  const error = await rejectionOf(readSingleFile(file, { strict: true }));
  expect(error).toBeInstanceOf(UnusedWeightError);
  expect(error.problem).toBe('model.safetensors has 6 tensors that no network of Stable Diffusion has.');
});

test('a VAE without its encoder is a VAE, and says what it lacks', async () => {
  const shapes = shapesOf('sd15', /^(?!first_stage_model\.(encoder|quant_conv))/);
  const checkpoint = await readSingleFile(headerFile(shapes));
  expect(networksOf(checkpoint)).toEqual(['text_encoder', 'unet', 'vae_decoder']);
  expect(requireComponent(checkpoint, 'vae').config).toMatchObject({
    block_out_channels: [128, 256, 512, 512],
    layers_per_block: 2,
  });
  expect(checkpoint.notes).toEqual(['The VAE has no encoder: the other half is converted.']);
});

test.for(['_orig_mod.', 'module.', 'model.', 'state_dict.model.'])(
  'a whole file behind %s is the same file',
  async (prefix) => {
    const shapes = Object.entries(shapesOf('sdxl')).map(([name, shape]) => [prefix + name, shape]);
    const checkpoint = await readSingleFile(headerFile(Object.fromEntries(shapes)));
    const plain = await readSingleFile(headerFile(shapesOf('sdxl')));
    for (const [name, { weights, config }] of plain.components) {
      const found = requireComponent(checkpoint, name);
      expect([...found.weights.keys()]).toEqual([...weights.keys()]);
      expect(found.config).toEqual(config);
    }
    expect(checkpoint.notes).toEqual(plain.notes);
  },
);

test('the inpainting model of 2.x predicts noise, on pictures of 512 pixels', async () => {
  const shape = recordedPlaces('sd21')[conv]?.[0] ?? [];
  const checkpoint = await readSingleFile(headerFile({ ...shapesOf('sd21'), [conv]: shape.with(1, 9) }));
  expect(await schedulerOf(checkpoint)).toMatchObject({ prediction_type: 'epsilon' });
  expect(requireComponent(checkpoint, 'unet').config.sample_size).toBe(64);
  expect(checkpoint.notes).toEqual([]);
});

test('a small model keeps its sizes, and what they do not show is said', async () => {
  const checkpoint = await readSingleFile(headerFile(smaller(shapesOf('sdxl', /^model\.|embedders\.1/))));
  expect(requireComponent(checkpoint, 'unet').config).toMatchObject({
    block_out_channels: [32, 64, 128],
    attention_head_dim: [2, 4, 8],
    transformer_layers_per_block: [1, 2, 10],
  });
  expect(requireComponent(checkpoint, 'text_encoder_2').config).toMatchObject({
    hidden_size: 128,
    num_attention_heads: 4,
    projection_dim: 128,
  });
  expect(checkpoint.notes.slice(0, 2)).toEqual([
    'No published text encoder is 128 channels wide: 4 attention heads are assumed, as in small test models.',
    'No published UNet has block_out_channels 32, 64, 128: attention heads of 16 channels are assumed.',
  ]);
});

/** All sizes that are multiples of 320 a tenth. */
function smaller(shapes: Shapes): Shapes {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      shape.map((size) => (size % 320 === 0 ? size / 10 : size === 2048 ? 240 : size)),
    ]),
  );
}

test.for([
  [
    "2.x's text encoder in 1.x",
    'sd15',
    'sd21',
    /^(?!cond_stage)/,
    /^cond_stage/,
    'text encoders of 1024 channels',
  ],
  ["XL's second text encoder in 1.x", 'sd15', 'sdxl', /./, /embedders\.1/, 'a text_encoder_2'],
] as const)('%s is refused', async ([, one, other, keep, take, found]) => {
  const file = headerFile({ ...shapesOf(one, keep), ...shapesOf(other, take) });
  const error = await rejectionOf(readSingleFile(file));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toBe(
    'model.safetensors mixes families: its UNet is one of Stable Diffusion 1.x, its text encoder is not.',
  );
  expect(error.details).toEqual({ 'the UNet reads': 'text of 768 channels', 'the file has': found });
});

test.for([
  ['a LoRA', 'lora_unet_up_blocks_0_attentions_0_proj_in.lora_down.weight', 'a LoRA, not a checkpoint'],
  ["peft's LoRA", 'up_blocks.0.attentions.0.proj_in.lora_A.weight', 'a LoRA, not a checkpoint'],
  ['a ControlNet', 'controlnet_cond_embedding.conv_in.weight', 'a ControlNet alone'],
  ['a textual inversion', 'emb_params', 'a textual inversion, not a checkpoint'],
  ['an old textual inversion', 'string_to_param.*', 'a textual inversion, not a checkpoint'],
  [
    'Flux',
    'double_blocks.0.img_attn.qkv.weight',
    'a Flux model, or one built like it, which is not supported',
  ],
  [
    'SD 3',
    'model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight',
    'Stable Diffusion 3, which is not supported',
  ],
  ['PixArt', 'adaln_single.linear.weight', 'a PixArt model, which is not supported'],
  ['Cascade', 'clip_txt_mapper.weight', 'Stable Cascade, which is not supported'],
  ['anything else', 'weight', 'not a known kind of checkpoint'],
] as const)('%s given as a checkpoint is called by its name', async ([, name, what]) => {
  const error = await rejectionOf(readSingleFile(headerFile({ [name]: [8, 768] })));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toBe(`model.safetensors is ${what}.`);
  expect(error.advice).toBeTruthy();
});

test.for([
  [5, 'a model for depth to image that is not supported'],
  [7, 'an upscaling model, which is not supported'],
  [12, 'of a kind that is not supported'],
] as const)('a UNet that reads %i channels is refused', async ([channels, what]) => {
  const shape = recordedPlaces('sd21')[conv]?.[0] ?? [];
  const file = headerFile({ ...shapesOf('sd21'), [conv]: shape.with(1, channels) });
  const error = await rejectionOf(readSingleFile(file));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toBe(`model.safetensors is ${what}.`);
});

test('a VAE with other latents is refused', async () => {
  const file = headerFile({
    'encoder.down.0.block.0.conv1.weight': [128, 128, 3, 3],
    'encoder.conv_in.weight': [128, 3, 3, 3],
    'decoder.conv_in.weight': [512, 16, 3, 3],
  });
  const error = await rejectionOf(readSingleFile(file));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toBe(
    'model.safetensors is a VAE of another family (Stable Diffusion 3 or Flux, perhaps), which is not supported.',
  );
});

test('a whole ControlNet checkpoint opens as the model that it steers, and says what else it has', async () => {
  const checkpoint = await readSingleFile(
    headerFile({ ...shapesOf('sd15'), ...shapesOf('controlnet-sd15') }),
  );
  expect([...checkpoint.components.keys()]).toEqual(['text_encoder', 'unet', 'vae']);
  expect(checkpoint.notes).toEqual([
    'The file also holds a ControlNet: name the file with --convert-controlnet to convert it.',
  ]);
});
