import { mkdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isHubId, isPlainPath, parseHubId } from '../../src/hub/hub-id.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const temporary = temporaryFolder();

test.each([
  ['gpt2', { repo: 'gpt2' }],
  ['runwayml/stable-diffusion-v1-5', { repo: 'runwayml/stable-diffusion-v1-5' }],
  ['org/name/model.safetensors', { repo: 'org/name', file: 'model.safetensors' }],
  ['org/name/some/folder/model.v2.ckpt', { repo: 'org/name', file: 'some/folder/model.v2.ckpt' }],
  ['hf://org/name', { repo: 'org/name' }],
  ['hf://org/name/vae', { repo: 'org/name', folder: 'vae' }],
  ['hf://org/name@refs%2Fpr%2F1/a/b.ckpt', { repo: 'org/name', file: 'a/b.ckpt', revision: 'refs/pr/1' }],
  ['https://huggingface.co/org/name', { repo: 'org/name' }],
  ['https://huggingface.co/org/name/', { repo: 'org/name' }],
  ['https://huggingface.co/gpt2', { repo: 'gpt2' }],
  ['https://hf.co/org/name/tree/fp16', { repo: 'org/name', revision: 'fp16' }],
  ['https://huggingface.co/org/name/tree/main/unet', { repo: 'org/name', folder: 'unet', revision: 'main' }],
  [
    'https://huggingface.co/org/name/resolve/main/a%20b.safetensors?download=true',
    { repo: 'org/name', file: 'a b.safetensors', revision: 'main' },
  ],
  [
    'https://huggingface.co/org/name/blob/main/x/Unet.mlpackage',
    { repo: 'org/name', folder: 'x/Unet.mlpackage', revision: 'main' },
  ],
  ['https://huggingface.co/org/name/discussions/3', { repo: 'org/name' }],
])('%s names a model on the Hub', (text, id) => {
  expect(parseHubId(text)).toEqual(id);
});

test('an address of the mirror that is asked names a model, too', () => {
  const address = 'http://127.0.0.1:8080/org/name/blob/main/model.safetensors';
  expect(parseHubId(address)).toBeUndefined();
  expect(parseHubId(address, 'http://127.0.0.1:8080/')).toMatchObject({
    repo: 'org/name',
    file: 'model.safetensors',
  });
});

test.each([
  '',
  '.',
  './sd15',
  '../sd15',
  '/models/sd15',
  '~/models/sd15',
  'sd15/',
  'C:\\models\\sd15',
  'models\\sd15',
  'model.safetensors',
  'models/model.safetensors',
  'out/onnx/unet/model.onnx',
  'models/sd15/unet',
  'org/name/../../etc/passwd.bin',
  'org/name//model.bin',
  'org/na--me',
  'org/na..me',
  'org/-name',
  'org/.name',
  'org/name.',
  'a picture of a cat',
  'https://civitai.com/api/download/models/1',
  'https://huggingface.co/datasets/org/name',
  'https://huggingface.co',
  'hf://org',
  'hf://org/name/../../etc/passwd',
  'https://huggingface.co/org/name/resolve/main/..%2F..%2Fx.bin',
  'ftp://huggingface.co/org/name',
])('%j is a path, or nothing', (text) => {
  expect(parseHubId(text)).toBeUndefined();
});

test('a folder that exists is a path, whatever it is called', async () => {
  mkdirSync(temporary('org/name'), { recursive: true });
  const before = process.cwd();
  process.chdir(temporary());
  try {
    expect(await isHubId('org/name')).toBe(false);
    expect(await isHubId('org/other')).toBe(true);
  } finally {
    process.chdir(before);
  }
});

test.each(['a/../b', '..', '/etc/passwd', 'a\\b', 'a\0b', 'C:evil', 'a//b', './a', 'a/', '', 'a\ud800'])(
  'the name %j could leave its folder',
  (name) => {
    expect(isPlainPath(name)).toBe(false);
  },
);

test.each(['a', 'a/b.c', '..a', 'a..', 'unet/model#1?.bin', 'ä b/c'])('the name %j stays', (name) => {
  expect(isPlainPath(name)).toBe(true);
});
