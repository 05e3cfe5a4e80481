import { posix } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import {
  filesForConversion,
  type Selection,
  singleFiles,
  variantsIn,
  withoutWeights,
} from '../../../src/checkpoint/from-hub/files-for-conversion.ts';
import { checkpointFiles, neededFiles } from '../../support/hub-checkpoint.ts';

const names = Object.keys(checkpointFiles);
const parts = [
  { name: 'feature_extractor', className: 'CLIPImageProcessor' },
  { name: 'scheduler', className: 'PNDMScheduler' },
  { name: 'text_encoder', className: 'CLIPTextModel' },
  { name: 'tokenizer', className: 'CLIPTokenizer' },
  { name: 'unet', className: 'UNet2DConditionModel' },
  { name: 'vae', className: 'AutoencoderKL' },
];

describe('of a diffusers repository', () => {
  test('one set of weights comes, safetensors first, and nothing that is not read', () => {
    expect([...filesForConversion(names, { parts })].sort()).toEqual(neededFiles);
  });

  test('a variant comes where there is one, the plain weights elsewhere', () => {
    expect(weights({ parts, variant: 'fp16' })).toEqual([
      'text_encoder/model.fp16.safetensors',
      'unet/diffusion_pytorch_model.fp16.safetensors',
      'vae/diffusion_pytorch_model.bin',
    ]);
    expect(weights({ parts, variant: 'non_ema' })[1]).toBe(
      'unet/diffusion_pytorch_model.non_ema.safetensors',
    );
    expect(variantsIn(names)).toEqual(['fp16', 'non_ema']);
  });

  test('networks that are not wanted stay away with their configurations, tokenizers do not', () => {
    const files = filesForConversion(names, { parts, isNeeded: (name) => name === 'unet' });
    expect(files.filter((name) => /^(vae|text_encoder)\//.test(name))).toEqual([]);
    expect(files).toContain('tokenizer/vocab.json');
  });

  test('what model_index.json does not name stays away', () => {
    expect(filesForConversion([...names, 'safety_checker/model.safetensors'], { parts })).not.toContain(
      'safety_checker/model.safetensors',
    );
  });

  function weights(selection: Selection): string[] {
    return filesForConversion(names, selection)
      .filter((name) => /\.(safetensors|bin)$/.test(name))
      .sort();
  }
});

describe('of one component', () => {
  const only = (...files: string[]) => filesForConversion(['config.json', 'README.md', ...files], {});

  test('its configuration and one weight file come', () => {
    expect(
      only(
        'diffusion_pytorch_model.bin',
        'diffusion_pytorch_model.fp16.safetensors',
        'diffusion_pytorch_model.safetensors',
        'images/a.png',
      ),
    ).toEqual(['config.json', 'diffusion_pytorch_model.safetensors']);
  });

  test('.bin comes when there is nothing else, float16 when there is no float32', () => {
    expect(only('diffusion_pytorch_model.bin')).toEqual(['config.json', 'diffusion_pytorch_model.bin']);
    expect(only('model.fp16.safetensors')).toEqual(['config.json', 'model.fp16.safetensors']);
  });
});

describe('weights in shards', () => {
  const plain = [
    'unet/config.json',
    'unet/diffusion_pytorch_model.safetensors.index.json',
    'unet/diffusion_pytorch_model-00001-of-00002.safetensors',
    'unet/diffusion_pytorch_model-00002-of-00002.safetensors',
  ];
  const float16 = [
    'unet/diffusion_pytorch_model.safetensors.index.fp16.json',
    'unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors',
    'unet/diffusion_pytorch_model-00002-of-00002.fp16.safetensors',
  ];
  const unet = [{ name: 'unet', className: 'UNet2DConditionModel' }];

  test('come with their index, those of the variant alone', () => {
    const all = [...plain, ...float16, 'unet/pytorch_model.bin.index.json'];
    expect(filesForConversion(all, { parts: unet })).toEqual(plain);
    expect(filesForConversion(all, { parts: unet, variant: 'fp16' })).toEqual([
      'unet/config.json',
      ...float16,
    ]);
  });

  test('are not there while one is missing', () => {
    expect(withoutWeights(plain, { parts: unet })).toEqual([]);
    for (const name of plain)
      expect(
        withoutWeights(
          plain.filter((other) => other !== name),
          { parts: unet },
        ),
      ).toEqual(['unet']);
  });
});

test('of single files, GGUF counts only where there is nothing else', () => {
  const packed = ['model-Q4_K.gguf', 'model-Q8_0.gguf'];
  expect(singleFiles(['README.md', ...packed])).toEqual(packed);
  expect(singleFiles([...packed, 'model.safetensors'])).toEqual(['model.safetensors']);
});

test('variants are found in time that grows with the files, however many folders and variants there are', () => {
  const count = 2000;
  const names = Array.from({ length: count }, (_, index) => [
    `folder${index}/model.safetensors`,
    `model.v${index}.safetensors`,
  ]).flat();
  const spies = [vi.spyOn(posix, 'dirname'), vi.spyOn(Array.prototype, 'includes')];
  let calls = 0;
  try {
    expect(variantsIn(names)).toHaveLength(count);
    calls = spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  expect(calls).toBeLessThan(3 * names.length);
});
