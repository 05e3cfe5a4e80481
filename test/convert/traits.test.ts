import { describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { natureOf } from '../../src/checkpoint/checkpoint.ts';
import { traitsOf } from '../../src/convert/traits.ts';
import type { JsonObject } from '../../src/io/json/python-json.ts';
import { fullSizeCheckpoint } from '../support/full-size.ts';

const unnamed = (): Checkpoint => ({ ...only('sdxl', 'text_encoder'), modelIndex: {} });

function only(name: 'sd15' | 'sdxl', ...kept: readonly string[]): Checkpoint {
  const checkpoint = fullSizeCheckpoint(name);
  const components = new Map([...checkpoint.components].filter(([component]) => kept.includes(component)));
  return { ...checkpoint, components, ...natureOf(components) };
}

describe('Stable Diffusion XL is known by each of its marks alone', () => {
  test.for<[string, Checkpoint]>([
    ['the UNet', { ...only('sdxl', 'unet'), modelIndex: {} }],
    ['the second text encoder', { ...only('sdxl', 'text_encoder_2'), modelIndex: {} }],
    ['the class of its pipeline', withIndex({ _class_name: 'StableDiffusionXLInpaintPipeline' })],
    [
      'a second text encoder that was not downloaded',
      withIndex({ text_encoder_2: ['transformers', 'CLIPTextModelWithProjection'] }),
    ],
    [
      'a second tokenizer that was not downloaded',
      withIndex({ tokenizer_2: ['transformers', 'CLIPTokenizer'] }),
    ],
  ])('%s', ([, checkpoint]) => {
    expect(traitsOf(checkpoint)).toMatchObject({
      family: 'sdxl',
      isXl: true,
      license: expect.stringMatching(/^OpenRAIL\+\+-M /),
      latentFactor: 0.13025,
    });
  });
});

test('a text encoder alone, and an entry without a class, are of no family', () => {
  for (const modelIndex of [{}, { _class_name: 'StableDiffusionPipeline', text_encoder_2: [null, null] }])
    expect(traitsOf({ ...unnamed(), modelIndex })).toEqual({
      family: undefined,
      isXl: false,
      license: 'OpenRAIL (https://huggingface.co/spaces/CompVis/stable-diffusion-license)',
      latentFactor: 0.18215,
      latentScale: undefined,
    });
});

function withIndex(modelIndex: JsonObject): Checkpoint {
  return { ...unnamed(), modelIndex };
}
