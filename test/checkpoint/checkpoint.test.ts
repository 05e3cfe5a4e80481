import { promises as fs } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { requireComponent } from '../../src/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { readSideText } from '../../src/checkpoint/side-file.ts';
import {
  ConfigError,
  FileFormatError,
  NotFoundError,
  SdConvertError,
  UnsupportedModelError,
} from '../../src/errors.ts';
import { writeText } from '../../src/io/disk.ts';
import { type NamedTensor, writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const shapes = fileURLToPath(new URL('../../models/sd-shapes', import.meta.url));
const weightName = 'diffusion_pytorch_model';

/** A tensor of one element. */
function one(name: string, value = 0): NamedTensor {
  return { name, dtype: 'f32', shape: [1], data: Float32Array.of(value) };
}

/** Writes files by path: an object as JSON, a list of tensors as safetensors, text as it is. */
async function write(folder: string, files: Readonly<Record<string, string | object>>): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    const path = at(folder, name);
    if (Array.isArray(content)) await writeSafetensors(path, content);
    else await writeText(path, typeof content === 'string' ? content : JSON.stringify(content));
  }
  return at(folder);
}

const index = {
  _class_name: 'StableDiffusionPipeline',
  requires_safety_checker: false,
  feature_extractor: [null, null],
  scheduler: ['diffusers', 'PNDMScheduler'],
  unet: ['diffusers', 'UNet2DConditionModel'],
};

/** The smallest folder that opens. */
const smallest = {
  'model_index.json': index,
  'scheduler/scheduler_config.json': {},
  'unet/config.json': { sample_size: 64 },
  [`unet/${weightName}.safetensors`]: [one('conv_in.weight', 1)],
};

/** What opening gives, checked to be one sentence that names the path, with advice. */
async function refusal(path: string, options = {}): Promise<SdConvertError> {
  const error = await openCheckpoint(path, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SdConvertError)) throw new Error(`not refused as it should be: ${error}`);
  expect(error.problem).toContain(path);
  expect(error.problem).toMatch(/[^.]\.$/);
  return error;
}

async function unetValue(path: string, options = {}): Promise<number | undefined> {
  const checkpoint = await openCheckpoint(path, options);
  const weight = requireComponent(checkpoint, 'unet').weights.get('conv_in.weight');
  const value = weight && (await readTensor(weight, 'f32')).data[0];
  await checkpoint.close();
  return value;
}

test('a real checkpoint opens with its networks, configurations and tokenizer files', async () => {
  const checkpoint = await openCheckpoint(`${shapes}/`);
  expect(checkpoint.name).toBe('sd-shapes');
  const found = [...checkpoint.components.values()].map(({ className, weights }) => [
    className,
    weights.size,
  ]);
  expect(found).toEqual([
    ['CLIPTextModel', 68],
    ['UNet2DConditionModel', 684],
    ['AutoencoderKL', 252],
  ]);
  expect(requireComponent(checkpoint, 'vae').config).toMatchObject({ latent_channels: 4 });
  expect(requireComponent(checkpoint, 'vae').configFile).toBe(join(shapes, 'vae/config.json'));
  expect(checkpoint.folders.get('tokenizer')).toContain(join(shapes, 'tokenizer/vocab.json'));
  expect([...checkpoint.folders.keys()]).toEqual(['scheduler', 'tokenizer']);
  expect(checkpoint.missing).toEqual([]);
  await checkpoint.close();
});

test('an image-to-image pipeline has the same networks and opens too', async () => {
  const path = await write('img2img', {
    ...smallest,
    'model_index.json': { ...index, _class_name: 'StableDiffusionImg2ImgPipeline' },
  });
  expect(await unetValue(path)).toBe(1);
});

describe('what is not a whole checkpoint is called by its name', () => {
  test('a path that leads nowhere', async () => {
    const error = await refusal(at('nowhere'));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.problem).toBe(`${at('nowhere')} does not exist.`);
  });

  test('a folder without model_index.json, showing what is in it', async () => {
    const error = await refusal(await write('photos', { 'cat.jpg': '', 'dog.jpg': '' }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.details).toEqual({ found: 'cat.jpg, dog.jpg' });
  });

  test('a folder of single files', async () => {
    const path = await write('downloads', { 'a.safetensors': [one('a')], 'b.ckpt': '', 'cat.jpg': '' });
    const error = await refusal(path);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.advice).toBe('Give one of its files: a.safetensors or b.ckpt.');
  });

  test('a model on the Hub that is not on this disk', async () => {
    const error = await refusal('somebody/some-model');
    expect(error.problem).toBe('somebody/some-model does not exist.');
    expect(error.advice).toContain('on the Hub');
  });

  test.each([
    ['AutoencoderKL', '--custom-vae-version'],
    ['ControlNetModel', '--convert-controlnet'],
  ])('the folder of a %s, and what to do with it', async (className, option) => {
    const error = await refusal(
      await write(`alone-${className}`, { 'config.json': { _class_name: className } }),
    );
    expect(error.advice).toContain(option);
  });

  test('the folder of one component', async () => {
    const error = await refusal(
      await write('component', { 'config.json': { _class_name: 'AutoencoderKL' } }),
    );
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.problem).toContain('one component');
    expect(error.details).toEqual({ found: 'AutoencoderKL' });
  });

  test.each(['unet.mlpackage/Manifest.json', 'model.onnx', 'Unet.mlmodelc/model.mil'])(
    'a converted model: %s',
    async (name) => {
      const path = await write(`converted-${name.length}`, { [name]: '' });
      expect((await refusal(path)).problem).toBe(`${path} is a converted model, not a checkpoint.`);
      if (name.includes('/'))
        expect((await refusal(dirname(join(path, name)))).problem).toContain('a converted model');
    },
  );

  test.each([
    ['lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight', 'a LoRA, not a checkpoint'],
    ['unet.down_blocks.0.attentions.0.to_q.lora_A.weight', 'a LoRA, not a checkpoint'],
    ['down_blocks.0.attn1.processor.to_q_lora.down.weight', 'a LoRA, not a checkpoint'],
    [
      'model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight',
      'Stable Diffusion 3, which is not supported',
    ],
    ['double_blocks.0.img_attn.qkv.weight', 'a Flux model, or one built like it, which is not supported'],
    ['controlnet_cond_embedding.conv_in.weight', 'a ControlNet alone'],
    ['control_model.input_blocks.0.0.weight', 'a ControlNet alone'],
    ['text_model.embeddings.token_embedding.weight', 'a text encoder alone'],
    ['emb_params', 'a textual inversion, not a checkpoint'],
    ['lorax.weight', 'not a known kind of checkpoint'],
  ])('a file with %s', async (name, what) => {
    const path = join(
      await write('single', { [`${name}.safetensors`]: [one(name), one('zzz')] }),
      `${name}.safetensors`,
    );
    const error = await refusal(path);
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.problem).toBe(`${path} is ${what}.`);
    expect(error.advice).toBeDefined();
  });

  test('a ControlNet has a UNet’s names as well, and is still called a ControlNet', async () => {
    const tensors = ['time_embedding.linear_1.weight', 'controlnet_cond_embedding.conv_in.weight'].map(
      (name) => one(name),
    );
    const path = join(await write('controlnet', { 'c.safetensors': tensors }), 'c.safetensors');
    expect((await refusal(path)).problem).toContain('a ControlNet alone');
  });

  test('half a .ckpt', async () => {
    const path = join(await write('ckpt', { 'v1-5.ckpt': 'PK\x03\x04\0\0\0\0\0\0' }), 'v1-5.ckpt');
    expect((await refusal(path)).problem).toContain('cut short or damaged');
  });

  test.each([
    ['StableDiffusion3Pipeline', 'Stable Diffusion 3, which is not supported'],
    ['FluxPipeline', 'a Flux model, which is not supported'],
    ['StableVideoDiffusionPipeline', 'a video model, which is not supported'],
    ['StableDiffusionDepth2ImgPipeline', 'a model for depth to image, which is not supported'],
    ['PixArtAlphaPipeline', 'of a kind that is not supported'],
  ])('%s', async (className, what) => {
    const transformer = className.startsWith('PixArt') && {
      transformer: ['diffusers', 'Transformer2DModel'],
    };
    const path = await write('pipelines', {
      'model_index.json': { ...index, _class_name: className, ...transformer },
    });
    const error = await refusal(path);
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.problem).toBe(`${path} is ${what}.`);
    expect(error.details).toMatchObject({ found: className });
  });

  test('a model_index.json that is broken, empty, or names folders elsewhere', async () => {
    expect(await refusal(await write('not-json', { 'model_index.json': '<html>' }))).toBeInstanceOf(
      FileFormatError,
    );
    expect(await refusal(await write('no-class', { 'model_index.json': {} }))).toBeInstanceOf(ConfigError);
    const nothing = { _class_name: 'StableDiffusionPipeline', scheduler: ['diffusers', 'PNDMScheduler'] };
    expect((await refusal(await write('no-network', { 'model_index.json': nothing }))).problem).toContain(
      'names no network',
    );
    const elsewhere = { ...index, '../../etc': ['diffusers', 'UNet2DConditionModel'] };
    expect((await refusal(await write('elsewhere', { 'model_index.json': elsewhere }))).problem).toContain(
      'is not a valid folder name',
    );
  });
});

test.each([
  ['unet', 'UNet2DConditionModel'],
  ['unet', ['diffusers']],
  ['unet', ['diffusers', null]],
  ['unet', { class: 'UNet2DConditionModel' }],
  ['vae', 5],
  ['scheduler', [['diffusers', 'PNDMScheduler']]],
  ['tokenizer_2', true],
  ['unet', ['diffusers', 'DDIMScheduler']],
  ['text_encoder_2', ['transformers', 'CLIPTokenizer']],
  ['scheduler', ['diffusers', 'UNet2DConditionModel']],
])('a %s that is no class is refused, instead of being left out: %j', async (name, entry) => {
  const path = await write('no-class-of', { ...smallest, 'model_index.json': { ...index, [name]: entry } });
  const { problem, advice } = await refusal(path);
  expect(problem).toBe(`${join(path, 'model_index.json')} does not say what its ${name} is.`);
  expect(advice).toContain('download it again');
});

test.each([null, [null, null], [null, 'AutoencoderKL']])('diffusers leaves out what is %j', async (vae) => {
  const path = await write('left-out', { ...smallest, 'model_index.json': { ...index, vae } });
  const checkpoint = await openCheckpoint(path);
  expect(checkpoint.missing).toEqual([]);
  await checkpoint.close();
});

describe('a part that is missing', () => {
  test('may be missing until it is needed', async () => {
    const path = await write('partial', {
      ...smallest,
      'model_index.json': { ...index, vae: ['diffusers', 'AutoencoderKL'] },
    });
    const checkpoint = await openCheckpoint(path);
    expect(checkpoint.missing).toEqual(['vae']);
    expect(() => requireComponent(checkpoint, 'vae')).toThrow(`${path} lacks its vae.`);
    expect(() => requireComponent(checkpoint, 'safety_checker')).toThrow(`${path} has no safety_checker.`);
    await checkpoint.close();
  });

  test('when it is all networks, there is nothing to open', async () => {
    const path = await write('hollow', { 'model_index.json': index, 'scheduler/scheduler_config.json': {} });
    expect((await refusal(path)).problem).toBe(`${path} lacks its unet.`);
  });

  test('a network without config.json', async () => {
    const { 'unet/config.json': _, ...rest } = smallest;
    const error = await refusal(await write('no-config', rest));
    expect(error.problem).toContain('unet has no config.json.');
    expect(error.advice).toContain('download is not complete');
  });

  test('a network without weights', async () => {
    const { [`unet/${weightName}.safetensors`]: _, ...rest } = smallest;
    const error = await refusal(await write('no-weights', rest));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.details.found).toBe('config.json');
  });

  test('a network whose .bin weights are something else', async () => {
    const { [`unet/${weightName}.safetensors`]: _, ...rest } = smallest;
    const error = await refusal(await write('bin', { ...rest, [`unet/${weightName}.bin`]: '<html>' }));
    expect(error.problem).toContain(`${weightName}.bin is a web page`);
  });
});

test('when one network is broken, the others are closed again', async () => {
  const path = await write('half-open', {
    ...smallest,
    'model_index.json': { ...index, vae: ['diffusers', 'AutoencoderKL'] },
    'vae/config.json': {},
    [`vae/${weightName}.safetensors`]: 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n',
  });
  const opening = vi.spyOn(fs, 'open');
  expect((await refusal(path)).problem).toContain('a Git-LFS pointer');
  const handles = await Promise.all(opening.mock.results.map(({ value }) => value));
  opening.mockRestore();
  const unclosed = handles.filter(({ fd }) => fd >= 0);
  expect(handles.length).toBeGreaterThanOrEqual(2);
  expect(unclosed).toEqual([]);
});

describe('variants', () => {
  const { [`unet/${weightName}.safetensors`]: _, ...bare } = smallest;
  const plain = { [`unet/${weightName}.safetensors`]: [one('conv_in.weight', 1)] };
  const fp16 = { [`unet/${weightName}.fp16.safetensors`]: [one('conv_in.weight', 16)] };
  const nonEma = { [`unet/${weightName}.non_ema.safetensors`]: [one('conv_in.weight', 2)] };

  test('the plain weights are taken unless a variant is asked for', async () => {
    const path = await write('variants', { ...bare, ...plain, ...fp16, ...nonEma });
    expect(await unetValue(path)).toBe(1);
    expect(await unetValue(path, { variant: 'fp16' })).toBe(16);
    expect(await unetValue(path, { variant: 'non_ema' })).toBe(2);
  });

  test('float16 weights are taken when there is nothing else', async () => {
    expect(await unetValue(await write('fp16-only', { ...bare, ...fp16 }))).toBe(16);
  });

  test('where the choice is open, it is left to the user', async () => {
    const error = await refusal(await write('open-choice', { ...bare, ...fp16, ...nonEma }));
    expect(error.advice).toContain('Choose one of the variants');
  });

  test('one that no network has is refused', async () => {
    const path = await write('no-variant', smallest);
    expect((await refusal(path, { variant: 'fp16' })).problem).toBe(`${path} has no fp16 weights.`);
  });

  test('a network that lacks it gives its plain weights, as the text encoder beside a non-EMA UNet does', async () => {
    const path = await write('mixed', {
      ...bare,
      ...plain,
      ...nonEma,
      'model_index.json': { ...index, text_encoder: ['transformers', 'CLIPTextModel'] },
      'text_encoder/config.json': {},
      'text_encoder/model.safetensors': [one('w')],
    });
    const checkpoint = await openCheckpoint(path, { variant: 'non_ema' });
    expect(requireComponent(checkpoint, 'unet').files).toEqual([
      join(path, `unet/${weightName}.non_ema.safetensors`),
    ]);
    expect(requireComponent(checkpoint, 'text_encoder').files).toEqual([
      join(path, 'text_encoder/model.safetensors'),
    ]);
    await checkpoint.close();
  });
});

describe('weights in several files', () => {
  const { [`unet/${weightName}.safetensors`]: _, ...bare } = smallest;
  const shard = (i: number) => `${weightName}-0000${i}-of-00002.safetensors`;
  const indexName = `unet/${weightName}.safetensors.index.json`;
  const sharded: Readonly<Record<string, object>> = {
    ...bare,
    [indexName]: { metadata: { total_size: 8 }, weight_map: { 'conv_in.weight': shard(1), b: shard(2) } },
    [`unet/${shard(1)}`]: [one('conv_in.weight', 3)],
    [`unet/${shard(2)}`]: [one('b', 4)],
  };

  test('are one set of weights', async () => {
    const path = await write('sharded', sharded);
    const checkpoint = await openCheckpoint(path);
    const { weights, files } = requireComponent(checkpoint, 'unet');
    expect([...weights.keys()]).toEqual(['conv_in.weight', 'b']);
    expect(files).toEqual([1, 2].map((i) => join(path, 'unet', shard(i))));
    expect(weights.get('b')?.file).toBe(files[1]);
    await checkpoint.close();
    expect(await unetValue(path)).toBe(3);
  });

  test('have scales wherever their weights are', async () => {
    const path = await write('sharded-scale', {
      ...sharded,
      [indexName]: { weight_map: { 'conv_in.weight': shard(1), 'conv_in.weight_scale': shard(2) } },
      [`unet/${shard(2)}`]: [one('conv_in.weight_scale', 0.5)],
    });
    expect(await unetValue(path)).toBe(1.5);
  });

  test('have variants too', async () => {
    const map = { weight_map: { 'conv_in.weight': 'other.safetensors' } };
    const path = await write('sharded-variant', {
      ...sharded,
      [`unet/${weightName}.safetensors.index.fp16.json`]: map,
      'unet/other.safetensors': [one('conv_in.weight', 16)],
    });
    expect(await unetValue(path, { variant: 'fp16' })).toBe(16);
  });

  test('one of which is missing', async () => {
    const { [`unet/${shard(2)}`]: _, ...rest } = sharded;
    const path = await write('shard-missing', rest);
    const error = await refusal(path);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.problem).toBe(`${join(path, 'unet')} lacks 1 of its 2 weight files.`);
    expect(error.details.missing).toBe(shard(2));
  });

  test('one of which lacks a tensor that the index puts there', async () => {
    const error = await refusal(await write('tensor-missing', { ...sharded, [`unet/${shard(2)}`]: [] }));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.details).toMatchObject({
      tensor: 'b',
      expected: `in ${shard(2)}`,
      found: 'in none of them',
    });
  });

  test('one of which has a tensor that the index does not name', async () => {
    const error = await refusal(
      await write('tensor-extra', { ...sharded, [`unet/${shard(2)}`]: [one('b'), one('c')] }),
    );
    expect(error.details).toMatchObject({ tensor: 'c' });
  });

  test('two of which have the same tensor', async () => {
    const folder = await write('tensor-twice', {
      ...sharded,
      [`unet/${shard(2)}`]: [one('b'), one('conv_in.weight')],
    });
    await expect(openCheckpoint(folder)).rejects.toThrow(FileFormatError);
    await expect(openCheckpoint(folder)).rejects.toThrow('conv_in.weight is in two weight files.');
  });

  test.each([
    '../../../etc/passwd',
    '/etc/x.safetensors',
    'a/b.safetensors',
    'a\\b.safetensors',
    '..',
    '..safetensors',
    'C:x.safetensors',
    '',
    7,
  ])('whose index leads elsewhere: %j', async (name) => {
    const folder = await write('elsewhere-shard', { ...sharded, [indexName]: { weight_map: { b: name } } });
    const error = await refusal(folder);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toContain('not a plain .safetensors or .bin file name');
  });

  test('whose index is something else', async () => {
    expect((await refusal(await write('no-map', { ...sharded, [indexName]: {} }))).problem).toContain(
      'has no weight_map',
    );
  });
});

test.each([
  ['StableDiffusionPAGPipeline', {}, ''],
  ['StableDiffusionControlNetImg2ImgPipeline', {}, ''],
  [
    'MyOwnPipeline',
    { watermarker: ['x', 'Watermarker'], adapter: ['diffusers', 'T2IAdapter'] },
    ', without adapter (T2IAdapter)',
  ],
])(
  'a pipeline called %s whose networks are ordinary is read as the usual one, and it is said',
  async (className, more, without) => {
    const path = await write(className, {
      ...smallest,
      'model_index.json': { ...index, _class_name: className, ...more },
      'watermarker/config.json': {},
      'adapter/config.json': {},
    });
    const checkpoint = await openCheckpoint(path);
    expect(checkpoint.modelIndex._class_name).toBe('StableDiffusionPipeline');
    expect([...checkpoint.components.keys()]).toEqual(['unet']);
    expect(checkpoint.notes[0]).toBe(
      `${className} is an unknown pipeline: it is converted as a StableDiffusionPipeline${without}.`,
    );
    await checkpoint.close();
    const strict = await refusal(path, { strict: true });
    expect(strict.problem).toBe(`${path} is of a kind that is not supported.`);
  },
);

test('an unknown pipeline is named in a note of bearable length, however long its names are', async () => {
  const adapters = Array.from({ length: 40 }, (_, at) => [`adapter${at}`, ['x', 'A'.repeat(1e4)]]);
  const path = await write('endless', {
    ...smallest,
    'model_index.json': { ...index, _class_name: 'P'.repeat(1e6), ...Object.fromEntries(adapters) },
  });
  const [note = ''] = (await openCheckpoint(path)).notes;
  expect(note).toMatch(/^P{119}… is an unknown pipeline: .* without adapter0 \(A+…, /);
  expect(note.length).toBeLessThan(2000);
});

test.each([
  'CLIPImageProcessorPil',
  'CLIPImageProcessorFast',
  'SiglipImageProcessor',
  'CLIPFeatureExtractor',
  'TokenizersBackend',
])('%s has no weights, so none are missed', async (className) => {
  const path = await write(className, {
    ...smallest,
    'model_index.json': { ...index, feature_extractor: ['transformers', className] },
    'feature_extractor/preprocessor_config.json': {},
  });
  const checkpoint = await openCheckpoint(path);
  expect([...checkpoint.components.keys()]).toEqual(['unet']);
  await checkpoint.close();
});

test('the prediction that is asked for is written into the scheduler of a folder', async () => {
  const checkpoint = await openCheckpoint(await write('prediction', smallest), {
    predictionType: 'v_prediction',
  });
  const [file] = checkpoint.folders.get('scheduler') ?? [];
  if (file === undefined) throw new Error('there is no scheduler');
  expect(JSON.parse(await readSideText(file))).toEqual({ prediction_type: 'v_prediction' });
  expect(checkpoint.notes).toEqual(['The UNet predicts v, as requested.']);
  await checkpoint.close();
});

test('the only variant is taken, whatever it is called, and one may be asked for', async () => {
  const { [`unet/${weightName}.safetensors`]: plain, ...rest } = smallest;
  const only = await write('bf16', {
    ...rest,
    [`unet/${weightName}.bf16.safetensors`]: [one('conv_in.weight', 7)],
  });
  expect(await unetValue(only)).toBe(7);
  const both = await write('both', {
    ...rest,
    [`unet/${weightName}.safetensors`]: plain,
    [`unet/${weightName}.int8.safetensors`]: [one('conv_in.weight', 8)],
  });
  expect(await unetValue(both)).toBe(1);
  expect(await unetValue(both, { variant: 'int8' })).toBe(8);
});

test('a repository’s folder in the cache is the snapshot of main, under the repository’s name', async () => {
  const commit = '0123456789abcdef0123456789abcdef01234567';
  const inside = Object.fromEntries(
    Object.entries(smallest).map(([name, content]) => [`snapshots/${commit}/${name}`, content]),
  );
  const path = await write('models--me--my-sd', {
    ...inside,
    'refs/main': commit,
    'snapshots/other/x.txt': '',
  });
  const checkpoint = await openCheckpoint(path);
  expect(checkpoint.name).toBe('me/my-sd');
  expect(checkpoint.path).toBe(join(path, 'snapshots', commit));
  await checkpoint.close();
});

test.each(['_orig_mod.', 'module.', 'unet.'])('weights behind %s are the UNet’s', async (prefix) => {
  const names = ['conv_in.weight', 'time_embedding.linear_1.weight', 'up_blocks.0.resnets.0.conv1.weight'];
  const path = await write(`behind-${prefix}`, {
    ...smallest,
    [`unet/${weightName}.safetensors`]: [...names.map((name) => one(prefix + name)), one('optimizer.step')],
  });
  const checkpoint = await openCheckpoint(path);
  expect([...requireComponent(checkpoint, 'unet').weights.keys()]).toEqual(names);
  expect(checkpoint.notes.join()).toContain('has 1 tensor outside of its networks');
  await checkpoint.close();
  expect((await refusal(path, { strict: true })).problem).toContain(
    'that no network of Stable Diffusion has',
  );
});
