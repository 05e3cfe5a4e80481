import { promises as fs } from 'node:fs';
import { expect, test } from 'vitest';
import {
  type ComponentWeights,
  openComponentWeights,
  variantsAmong,
} from '../../src/checkpoint/component-weights.ts';
import { FileFormatError, NotFoundError } from '../../src/errors.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { drain } from '../support/drain.ts';
import * as p from '../support/pickle-bytes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { zipOf } from '../support/zip-bytes.ts';

const at = temporaryFolder();

/** A torch file with one float32 tensor. */
function torchFile(tensor: string, value: number): Uint8Array {
  return zipOf([
    {
      name: 'x/data.pkl',
      data: p.pickle(
        p.EMPTY_DICT,
        p.text(tensor),
        p.tensor({ elements: 1, shape: [], strides: [] }),
        p.SETITEM,
      ),
    },
    { name: 'x/data/0', data: new Uint8Array(Float32Array.of(value).buffer) },
  ]);
}

async function folderOf(
  name: string,
  files: Readonly<Record<string, Uint8Array | string | number>>,
): Promise<string> {
  await fs.mkdir(at(name));
  for (const [file, content] of Object.entries(files)) {
    if (typeof content !== 'number') await fs.writeFile(at(name, file), content);
    else
      await writeSafetensors(at(name, file), [
        { name: 'w', dtype: 'f32', shape: [], data: Float32Array.of(content) },
      ]);
  }
  return at(name);
}

async function scalarIn(opened: ComponentWeights, name = 'w'): Promise<number | undefined> {
  const weight = opened.weights.get(name);
  if (!weight) throw new Error(`no ${name}`);
  const [value] = new Float32Array((await drain(weight)).buffer);
  return value;
}

test.each(['diffusion_pytorch_model.bin', 'pytorch_model.bin'])(
  '%s is read where there is no safetensors',
  async (name) => {
    const folder = await folderOf(name, { [name]: torchFile('w', 3), 'config.json': '{}' });
    const opened = await openComponentWeights(folder);
    expect(opened.files).toEqual([at(name, name)]);
    expect(await scalarIn(opened)).toBe(3);
    await opened.close();
  },
);

test('safetensors are preferred to .bin, and the variant asked for to both', async () => {
  const folder = await folderOf('both', {
    'model.safetensors': 1,
    'pytorch_model.bin': torchFile('w', 2),
    'pytorch_model.fp16.bin': torchFile('w', 3),
  });
  for (const [variant, value] of [
    [undefined, 1],
    ['fp16', 3],
    ['non_ema', 1],
  ] as const) {
    const opened = await openComponentWeights(folder, variant);
    expect(await scalarIn(opened)).toBe(value);
    await opened.close();
  }
});

test('float16 weights of either kind are taken when there is nothing else', async () => {
  const folder = await folderOf('fp16', { 'diffusion_pytorch_model.fp16.bin': torchFile('w', 4) });
  const opened = await openComponentWeights(folder);
  expect(await scalarIn(opened)).toBe(4);
  await opened.close();
});

const shards = { a: 'pytorch_model-00001-of-00002.bin', b: 'pytorch_model-00002-of-00002.bin' };

test('shards of .bin are read together', async () => {
  const folder = await folderOf('shards', {
    'pytorch_model.bin.index.json': JSON.stringify({ weight_map: shards }),
    [shards.a]: torchFile('a', 1),
    [shards.b]: torchFile('b', 2),
  });
  const opened = await openComponentWeights(folder);
  expect(opened.files).toEqual([at('shards', shards.a), at('shards', shards.b)]);
  expect(await scalarIn(opened, 'b')).toBe(2);
  await opened.close();
});

test('shards of the only variant are read without its name', async () => {
  const [a, b] = ['model.bf16-00001-of-00002.safetensors', 'model.bf16-00002-of-00002.safetensors'] as const;
  const folder = await folderOf('only-variant', {
    'model.safetensors.index.bf16.json': JSON.stringify({ weight_map: { w: a, v: b } }),
    [a]: 1,
  });
  const v = { name: 'v', dtype: 'f32', shape: [], data: Float32Array.of(2) } as const;
  await writeSafetensors(at('only-variant', b), [v]);
  expect(variantsAmong(await fs.readdir(folder))).toEqual(['bf16']);
  const opened = await openComponentWeights(folder);
  expect(await scalarIn(opened, 'v')).toBe(2);
  await opened.close();
});

test('a missing shard is named; shards that disagree with their index are refused', async () => {
  const index = { 'pytorch_model.bin.index.json': JSON.stringify({ weight_map: shards }) };
  const missing = openComponentWeights(
    await folderOf('missing', { ...index, [shards.a]: torchFile('a', 1) }),
  );
  await expect(missing).rejects.toThrow(NotFoundError);
  await expect(missing).rejects.toThrow(shards.b);
  const swapped = { ...index, [shards.a]: torchFile('b', 1), [shards.b]: torchFile('a', 2) };
  await expect(openComponentWeights(await folderOf('swapped', swapped))).rejects.toThrow(FileFormatError);
});
