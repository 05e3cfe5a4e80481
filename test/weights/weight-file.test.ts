import { promises as fs } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { UnsupportedModelError } from '../../src/errors.ts';
import { byteSize } from '../../src/weights/dtype.ts';
import { type NamedTensor, writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import type { WeightFile } from '../../src/weights/tensors-of-file.ts';
import { openWeightFile } from '../../src/weights/weight-file.ts';
import { drain } from '../support/drain.ts';
import * as p from '../support/pickle-bytes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// The files in test/fixtures/torch were written by torch with test/python/make_torch_files.py.

const at = temporaryFolder();

function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/torch/${name}`, import.meta.url));
}

async function contents(file: WeightFile) {
  const tensors = new Map<string, unknown>();
  for (const weight of file.weights.values())
    tensors.set(weight.name, { dtype: weight.dtype, shape: weight.shape, bytes: await drain(weight) });
  await file.close();
  return tensors;
}

test.each(['zip.pt', 'legacy.bin', 'lightning.ckpt', 'protocol-1.pt', 'protocol-4.pth', 'protocol-5.pt'])(
  '%s holds what torch wrote: names, dtypes, shapes and every byte',
  async (name) => {
    const expected = await contents(await openWeightFile(fixture('tensors.safetensors')));
    expect(expected.size).toBe(26);
    expect(await contents(await openWeightFile(fixture(name)))).toEqual(expected);
  },
);

test('the tensors of a torch file come in the order in which they lie in the file', async () => {
  const file = await openWeightFile(fixture('zip.pt'));
  expect([...file.weights.keys()].slice(0, 4)).toEqual([
    'base',
    'base.again',
    'base.transposed',
    'base.every_other',
  ]);
  expect(file).toMatchObject({
    path: fixture('zip.pt'),
    size: (await fs.stat(fixture('zip.pt'))).size,
    metadata: {},
  });
  await file.close();
});

test('a torch file’s numbers convert as those of safetensors do', async () => {
  const file = await openWeightFile(fixture('zip.pt'));
  const reference = await openWeightFile(fixture('tensors.safetensors'));
  for (const name of ['base.transposed', 'f64', 'bf16', 'f16.transposed', 'f8_e5m2.transposed']) {
    const [weight, expected] = [file.weights.get(name), reference.weights.get(name)];
    if (!weight || !expected) throw new Error(`no ${name}`);
    for (const dtype of ['f16', 'f32'] as const)
      expect(await readTensor(weight, dtype)).toEqual(await readTensor(expected, dtype));
  }
  await file.close();
  await reference.close();
});

test('the extension of a file means nothing', async () => {
  await fs.copyFile(fixture('tensors.safetensors'), at('model.ckpt'));
  await fs.copyFile(fixture('legacy.bin'), at('model.safetensors'));
  await fs.copyFile(fixture('zip.pt'), at('model'));
  for (const name of ['model.ckpt', 'model.safetensors', 'model'])
    expect((await contents(await openWeightFile(at(name)))).size).toBe(26);
});

test('a safetensors file whose first bytes are those of a pickle is safetensors', async () => {
  const tensor: NamedTensor = { name: 'w', dtype: 'u8', shape: [1], data: Uint8Array.of(7) };
  const plain = at('plain.safetensors');
  await writeSafetensors(plain, [tensor], { note: '' });
  const padding = 640 - ((await fs.readFile(plain)).length - 9);
  await writeSafetensors(at('640'), [tensor], { note: 'x'.repeat(padding) });
  expect([...(await fs.readFile(at('640'))).subarray(0, 3)]).toEqual([0x80, 2, 0]);
  expect((await contents(await openWeightFile(at('640')))).size).toBe(1);
});

test('what is neither is called by its name', async () => {
  const tar = new Uint8Array(1024);
  tar.set(new TextEncoder().encode('pickle'));
  tar.set(new TextEncoder().encode('ustar'), 257);
  await fs.writeFile(at('tar.pth'), tar);
  await expect(openWeightFile(at('tar.pth'))).rejects.toThrow(
    'a tar archive, as PyTorch wrote its files before 0.4',
  );
  await fs.writeFile(at('page.ckpt'), '<!DOCTYPE html><html>');
  await expect(openWeightFile(at('page.ckpt'))).rejects.toThrow('is a web page');
  await fs.writeFile(at('empty.ckpt'), '');
  await expect(openWeightFile(at('empty.ckpt'))).rejects.toThrow('is empty');
});

test('a saved module is refused by its class, a TorchScript program by its kind', async () => {
  const module = openWeightFile(fixture('module.pt'));
  await expect(module).rejects.toThrow(UnsupportedModelError);
  await expect(module).rejects.toThrow('an object of the class torch.nn.modules.linear.Linear');
  const script = openWeightFile(fixture('torchscript.pt'));
  await expect(script).rejects.toThrow(UnsupportedModelError);
  await expect(script).rejects.toThrow('is a TorchScript program');
});

test('a pickle that runs a program does not run it', async () => {
  const command = `touch ${at('ran')}`;
  for (const [module, name] of [
    ['os', 'system'],
    ['posix', 'system'],
  ] as const) {
    const bytes = p.pickle(p.global(module, name), p.tuple(p.text(command)), p.REDUCE);
    await fs.writeFile(at('evil.ckpt'), bytes);
    await expect(openWeightFile(at('evil.ckpt'))).rejects.toThrow(`evil.ckpt refers to ${module}.${name}`);
  }
  await expect(fs.access(at('ran'))).rejects.toThrow();
});

test('sizes on the disk are those of the dtypes, also of 8-bit floats', async () => {
  const file = await openWeightFile(fixture('legacy.bin'));
  for (const weight of file.weights.values())
    expect((await drain(weight)).length).toBe(byteSize(weight.shape, weight.dtype));
  expect(file.weights.get('f8_e4m3')).toMatchObject({ dtype: 'f8_e4m3', shape: [2, 5] });
  await file.close();
});
