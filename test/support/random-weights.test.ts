import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeRandomWeights } from './random-weights.ts';
import { temporaryFolder } from './temporary-folder.ts';

const inFolder = temporaryFolder();
const shapes = {
  'attn.to_q.bias': [5],
  'attn.to_q.weight': [5, 3, 2],
  'embeddings.position_ids': [1, 4],
  'norm.weight': [7],
};

/** SHA-256 of a safetensors file with these tensors, made in Python by test/python/random_weights.py. */
const made = {
  f16: 'e33fabe14d2c2e4e534cdf6097f3abab73ba6c2fbf84d460b1362e89422544cb',
  f32: '8201832ac44f6fa961bb31bc7e8d9e336458077cedc8faa09eb255627f660c5d',
};

/** A folder of fixtures whose only list has one file. */
function fixtures(name: string, dtype: 'f16' | 'f32', sha256: string) {
  mkdirSync(inFolder(name, 'random-weights'), { recursive: true });
  const list = { 'unet/model.safetensors': { dtype, sha256, shapes } };
  writeFileSync(inFolder(name, 'random-weights', 'tiny.json'), JSON.stringify(list));
  return { folder: inFolder(name), file: inFolder(name, 'tiny', 'unet', 'model.safetensors') };
}

test.each(['f16', 'f32'] as const)('random weights in %s have the bytes that NumPy gives', async (dtype) => {
  const { folder } = fixtures(dtype, dtype, made[dtype]);
  await expect(makeRandomWeights(folder)).resolves.toBeUndefined();
});

test('other bytes than the listed ones are an error that names the file', async () => {
  const { folder, file } = fixtures('wrong', 'f16', made.f32);
  await expect(makeRandomWeights(folder)).rejects.toThrow(`${file} was made with SHA-256 ${made.f16}`);
});

test('a file that is there is kept, one of other bytes is made again', async () => {
  const { folder, file } = fixtures('again', 'f16', made.f16);
  await makeRandomWeights(folder);
  const first = statSync(file).ino;
  await makeRandomWeights(folder);
  expect(statSync(file).ino).toBe(first);

  writeFileSync(file, 'cut short');
  await makeRandomWeights(folder);
  expect(statSync(file).size).toBeGreaterThan(400);
});
