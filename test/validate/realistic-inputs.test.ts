import { describe, expect, test } from 'vitest';
import type { InputSizes } from '../../src/convert/networks/realistic.ts';
import { ConfigError, RequestError } from '../../src/errors.ts';
import type { ModelBorders } from '../../src/formats/runner.ts';
import type { JsonObject } from '../../src/io/json/python-json.ts';
import { modelSettings } from '../../src/validate/model-settings.ts';
import { inputSizes, realisticCases } from '../../src/validate/realistic-inputs.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { numbersOf } from '../../src/weights/tensor-values.ts';
import { thrownBy } from '../support/thrown-by.ts';

const sizes: InputSizes = {
  batch: 2,
  tokens: 77,
  textChannels: 64,
  latentChannels: 4,
  latentHeight: 16,
  latentWidth: 24,
  colours: 3,
  height: 128,
  width: 192,
};

function only(
  network: 'text_encoder' | 'text_encoder_2' | 'vae_decoder' | 'vae_encoder',
  name: string,
  settings = {},
): TensorData {
  const tensor = realisticCases(network, sizes, settings)[0]?.tensors.get(name);
  if (!tensor) throw new Error(`no ${name}`);
  return tensor;
}

function deviation(tensor: TensorData): number {
  const values = Array.from(numbersOf(tensor));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

describe('realistic inputs', () => {
  test('token ids are a prompt and an empty prompt, each between begin and end and filled up with the end', () => {
    const ids = Array.from(numbersOf(only('text_encoder', 'input_ids', { vocabularySize: 1000 })));
    const [prompt, empty] = [ids.slice(0, 77), ids.slice(77)];
    expect(prompt[0]).toBe(998);
    expect(prompt.indexOf(999)).toBe(41);
    expect(prompt.slice(1, 41).every((id) => Number.isInteger(id) && id >= 0 && id < 998)).toBe(true);
    expect(new Set(prompt.slice(1, 41)).size).toBeGreaterThan(30);
    expect(prompt.slice(41)).toEqual(Array(36).fill(999));
    expect(empty).toEqual([998, ...Array(76).fill(999)]);
  });

  test('the text encoders of OpenCLIP get prompts that are filled up with 0, those of OpenAI with the end', () => {
    const [openAi, openClip] = ['quick_gelu', 'gelu'].map((hidden_act) => ({ hidden_act, vocab_size: 1000 }));
    const paddingOf = (network: 'text_encoder' | 'text_encoder_2', configs: [string, JsonObject][]) =>
      only(
        network,
        'input_ids',
        modelSettings(new Map(configs.map(([name, config]) => [name, { config, configFile: name }]))),
      ).data.at(-1);
    expect(paddingOf('text_encoder', [['text_encoder', { ...openAi }]])).toBe(999);
    expect(paddingOf('text_encoder', [['text_encoder', { ...openClip }]])).toBe(0);
    const ofXl: [string, JsonObject][] = [
      ['text_encoder', { ...openAi }],
      ['text_encoder_2', { ...openClip }],
    ];
    expect(paddingOf('text_encoder', ofXl)).toBe(999);
    expect(paddingOf('text_encoder_2', ofXl)).toBe(0);
  });

  test.each([
    ['unet', { sample_size: 1e7 }],
    ['unet', { sample_size: -8 }],
    ['unet', { cross_attention_dim: 1e9 }],
    ['text_encoder', { vocab_size: 0.5 }],
    ['text_encoder', { vocab_size: 1e9 }],
    ['vae', { scaling_factor: 0 }],
    ['vae', { scaling_factor: 1e308 }],
  ])('are not made of numbers of a config that no %s has: %j', (folder, config) => {
    const error = thrownBy(() => modelSettings(new Map([[folder, { config, configFile: 'a/config.json' }]])));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toContain(`sets ${Object.keys(config)[0]} to a value`);
    expect(error.details.file).toBe('a/config.json');
  });

  test('the UNet meets the first, a middle and the last timestep, each with latents of its own', () => {
    const cases = realisticCases('unet', sizes, {});
    expect(cases.map(({ name }) => name)).toEqual(['timestep 981', 'timestep 501', 'timestep 1']);
    expect(cases.map(({ tensors }) => tensors.get('timestep')?.data[0])).toEqual([981, 501, 1]);
    const latents = cases.flatMap(({ tensors }) => tensors.get('sample') ?? []);
    expect(latents[0]?.shape).toEqual([2, 4, 16, 24]);
    expect(latents[0]?.data).not.toEqual(latents[1]?.data);
    // 3072 standard normal numbers: the standard error is 0.013, measured 0.972.
    expect(deviation(latents[0] as TensorData)).toBeCloseTo(1, 1);
  });

  test('the UNet attends to what the text encoder gave, row by row', () => {
    const data = Float32Array.from({ length: 77 * 64 }, (_, i) => i);
    const [first] = realisticCases(
      'unet',
      sizes,
      {},
      {
        hidden: [{ dtype: 'f32', shape: [1, 77, 64], data }],
      },
    );
    expect(first?.tensors.get('encoder_hidden_states')?.data).toEqual(Float32Array.from([...data, ...data]));
  });

  test('text of another model is not taken', () => {
    const text: TensorData = { dtype: 'f32', shape: [2, 77, 32], data: new Float32Array(2 * 77 * 32) };
    const hidden = realisticCases('unet', sizes, {}, { hidden: [text] })[0]?.tensors.get(
      'encoder_hidden_states',
    );
    expect(hidden?.shape).toEqual([2, 77, 64]);
    expect(deviation(hidden as TensorData)).toBeCloseTo(1, 1);
  });

  test('a UNet whose text channels nobody knows cannot be fed', () => {
    const { textChannels: _, ...others } = sizes;
    expect(() => realisticCases('unet', others, {})).toThrow(RequestError);
  });

  test('SDXL’s UNet takes the text of both encoders side by side, and the refiner that of the second', () => {
    const text = (channels: number, first: number): TensorData => {
      const data = Float32Array.from({ length: 77 * channels }, (_, i) => first + i);
      return { dtype: 'f32', shape: [1, 77, channels], data };
    };
    const prompts = {
      hidden: [text(3, 0), text(5, 1000), text(8, 2000)],
      pooled: { ...text(5, 0), shape: [77, 5] },
    };
    const first = (textChannels: number, timeIds: number) =>
      realisticCases('unet', { ...sizes, textChannels, pooledChannels: 5, timeIds }, {}, prompts)[0]?.tensors;
    expect(first(8, 6)?.get('encoder_hidden_states')?.data[0]).toBe(2000);
    expect(first(5, 5)?.get('encoder_hidden_states')?.data[0]).toBe(1000);
    expect(first(8, 6)?.get('text_embeds')).toMatchObject({
      shape: [2, 5],
      data: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    });
    expect(Array.from(numbersOf(first(8, 6)?.get('time_ids') as TensorData))).toEqual([
      128, 192, 0, 0, 128, 192, 128, 192, 0, 0, 128, 192,
    ]);
    expect(Array.from(numbersOf(first(5, 5)?.get('time_ids') as TensorData))).toEqual([
      128, 192, 0, 0, 2.5, 128, 192, 0, 0, 6,
    ]);
  });

  test('LCM is told a guidance scale of 7.5 in sines and cosines', () => {
    const told = realisticCases('unet', { ...sizes, guidanceChannels: 256 }, {})[0]?.tensors.get(
      'timestep_cond',
    );
    expect(told?.shape).toEqual([2, 256]);
    expect(told?.data[0]).toBeCloseTo(Math.sin(6500), 6);
    expect(told?.data[128]).toBeCloseTo(Math.cos(6500), 6);
    expect(told?.data[127]).toBeCloseTo(Math.sin(0.65), 6);
  });

  test('a safety checker sees one picture in both of its layouts, a ControlNet one from 0 to 1', () => {
    const checked = realisticCases('safety_checker', { ...sizes, batch: 1, clipSize: 224 }, {})[0]?.tensors;
    expect(checked?.get('clip_input')?.shape).toEqual([1, 3, 224, 224]);
    expect(checked?.get('images')?.shape).toEqual([1, 128, 192, 3]);
    expect(checked?.get('adjustment')?.data).toEqual(Float32Array.of(0));
    const hint = realisticCases('controlnet', sizes, {})[0]?.tensors.get('controlnet_cond');
    expect(hint?.shape).toEqual([2, 3, 128, 192]);
    for (const picture of [checked?.get('images'), hint]) {
      const values = Array.from(numbersOf(picture as TensorData));
      expect(values.every((value) => value >= 0 && value <= 1)).toBe(true);
      // Colours that follow one another along a row change slowly: 0.2 is a tenth of a wave.
      const step = picture === hint ? 1 : 3;
      expect(
        Math.max(...values.slice(0, 190 * step).map((value, i) => Math.abs(value - (values[i + step] ?? 0)))),
      ).toBeLessThan(0.2);
    }
  });

  test('the decoder’s latents are divided by the scaling factor', () => {
    expect(deviation(only('vae_decoder', 'latent_sample', { scalingFactor: 0.25 }))).toBeCloseTo(4, 0);
  });

  test('the encoder’s picture is smooth and within −1…1', () => {
    const picture = only('vae_encoder', 'sample');
    const values = Array.from(numbersOf(picture));
    expect(picture.shape).toEqual([2, 3, 128, 192]);
    expect(values.every((value) => Math.abs(value) <= 1)).toBe(true);
    expect(deviation(picture)).toBeGreaterThan(0.2);
    const steps = values.slice(1, 192).map((value, i) => Math.abs(value - (values[i] ?? 0)));
    expect(Math.max(...steps)).toBeLessThan(0.2);
  });

  test('they are the same every time', () => {
    expect(realisticCases('unet', sizes, {})).toEqual(realisticCases('unet', sizes, {}));
  });
});

describe('the sizes at which models are run', () => {
  const model = (...inputs: ModelBorders['inputs'][number][]): ModelBorders => ({
    path: '',
    inputs,
    outputs: [],
  });

  test('come from the config where the model leaves them free', () => {
    const free = model({ name: 'sample', dtype: 'f32', dims: ['batch_size', 9, 'height', 'width'] });
    const found = inputSizes('unet', { sampleSize: 96, textChannels: 1024 }, [free]);
    expect(found).toMatchObject({
      batch: 2,
      tokens: 77,
      textChannels: 1024,
      latentChannels: 9,
      latentHeight: 96,
      latentWidth: 96,
    });
  });

  test('are those of a model that fixes them, in Apple’s layout too', () => {
    const fixed = model(
      { name: 'sample', dtype: 'f16', dims: [1, 4, 64, 48] },
      { name: 'encoder_hidden_states', dtype: 'f16', dims: [1, 768, 1, 77] },
    );
    const free = model({ name: 'sample', dtype: 'f32', dims: ['batch_size', 4, 'height', 'width'] });
    const expected = { batch: 1, tokens: 77, textChannels: 768, latentHeight: 64, latentWidth: 48 };
    expect(inputSizes('unet', {}, [free, fixed])).toMatchObject(expected);
    expect(inputSizes('unet', {}, [fixed, free])).toMatchObject(expected);
  });

  test('a ControlNet’s residuals are as large as declared, or as the latents make them', () => {
    const controlled = (...residual: (number | string)[]) =>
      model(
        { name: 'sample', dtype: 'f32', dims: ['batch_size', 4, 'height', 'width'] },
        { name: 'mid_block_additional_residual', dtype: 'f32', dims: residual },
      );
    const free = controlled('batch_size', 1280, 'height / 8', 'width / 8');
    expect(inputSizes('control-unet', { sampleSize: 96 }, [free]).residuals).toEqual(
      new Map([['mid_block_additional_residual', [2, 1280, 12, 12]]]),
    );
    const fixed = controlled(1, 1280, 8, 8);
    expect(inputSizes('control-unet', {}, [fixed]).residuals?.get('mid_block_additional_residual')).toEqual([
      1, 1280, 8, 8,
    ]);
    expect(() => inputSizes('control-unet', {}, [controlled('batch_size', 1280, 'unknown', 8)])).toThrow(
      RequestError,
    );
  });

  test('are eight pixels for each latent', () => {
    expect(inputSizes('vae_encoder', { sampleSize: 8 }, [])).toMatchObject({
      batch: 1,
      colours: 3,
      height: 64,
      width: 64,
    });
  });
});
