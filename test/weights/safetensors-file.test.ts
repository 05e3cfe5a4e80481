import { promises as fs } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { FileFormatError, NotFoundError, UnsupportedModelError } from '../../src/errors.ts';
import { BLOCK_BYTES } from '../../src/io/bytes.ts';
import { byteWidth } from '../../src/weights/dtype.ts';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { type NamedTensor, writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import type { WeightFile } from '../../src/weights/tensors-of-file.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const vae = fileURLToPath(
  new URL('../../models/sd-shapes/vae/diffusion_pytorch_model.safetensors', import.meta.url),
);

async function fileOf(name: string, ...tensors: NamedTensor[]): Promise<WeightFile> {
  await writeSafetensors(at(name), tensors);
  return openSafetensors(at(name));
}

function weightOf(file: WeightFile, name: string): Weight {
  const weight = file.weights.get(name);
  if (!weight) throw new Error(`no ${name}`);
  return weight;
}

/** More than two blocks, and not a whole number of them. */
const counted = Float32Array.from({ length: 600_001 }, (_, i) => i - 300_000);

test('a tensor larger than a block comes in blocks, each converted, none larger than a block', async () => {
  const file = await fileOf('large', { name: 'w', dtype: 'f32', shape: [600_001], data: counted });
  const weight = weightOf(file, 'w');
  for (const dtype of ['f32', 'f16'] as const) {
    const sizes: number[] = [];
    for await (const block of weight.stream(dtype)) sizes.push(block.length);
    expect(sizes.length).toBe(3);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(BLOCK_BYTES);
    expect(sizes.reduce((a, b) => a + b)).toBe(600_001 * byteWidth(dtype));
  }
  expect((await readTensor(weight, 'f32')).data).toEqual(counted);
  expect((await readTensor(weight, 'f16')).data).toEqual(new Uint16Array(Float16Array.from(counted).buffer));
  await file.close();
});

test('a half-size tensor is widened in blocks that stay within the limit', async () => {
  const data = Uint16Array.from({ length: 600_001 }, (_, i) => i & 0x7bff);
  const file = await fileOf('half', { name: 'w', dtype: 'f16', shape: [600_001], data });
  for await (const block of weightOf(file, 'w').stream('f32'))
    expect(block.length).toBeLessThanOrEqual(BLOCK_BYTES);
  expect((await readTensor(weightOf(file, 'w'), 'f32')).data).toEqual(
    Float32Array.from(new Float16Array(data.buffer)),
  );
  await file.close();
});

test('every block is a view of one buffer', async () => {
  const file = await fileOf('reused', { name: 'w', dtype: 'f32', shape: [600_001], data: counted });
  const buffers = new Set<ArrayBufferLike>();
  for await (const block of weightOf(file, 'w').stream('f16')) buffers.add(block.buffer);
  expect(buffers.size).toBe(1);
  await file.close();
});

test('two weights, and one weight twice, can be streamed at the same time', async () => {
  const file = await fileOf(
    'parallel',
    { name: 'a', dtype: 'f32', shape: [600_001], data: counted },
    { name: 'b', dtype: 'f32', shape: [600_001], data: counted.map((x) => -x) },
  );
  const [a, again, b] = await Promise.all(
    ['a', 'a', 'b'].map((name) => readTensor(weightOf(file, name), 'f32')),
  );
  expect(a?.data).toEqual(counted);
  expect(again?.data).toEqual(counted);
  expect(b?.data).toEqual(counted.map((x) => -x));
  await file.close();
});

test('a tensor without elements streams nothing', async () => {
  const file = await fileOf('empty', { name: 'w', dtype: 'f32', shape: [0, 3], data: new Float32Array() });
  expect((await readTensor(weightOf(file, 'w'), 'f16')).data).toEqual(new Uint16Array());
  await file.close();
});

test('integers are read as they are, and refused as floats by name', async () => {
  const data = BigInt64Array.of(0n, -5n, 2n ** 60n);
  const file = await fileOf('ints', { name: 'position_ids', dtype: 'i64', shape: [3], data });
  const weight = weightOf(file, 'position_ids');
  expect(await readTensor(weight, 'i64')).toEqual({ dtype: 'i64', shape: [3], data });
  await expect(readTensor(weight, 'f16')).rejects.toThrow(UnsupportedModelError);
  await expect(readTensor(weight, 'f16')).rejects.toThrow('position_ids is stored as i64');
  await file.close();
});

test('a file that shrinks while it is open is noticed', async () => {
  const file = await fileOf('shrinks', { name: 'w', dtype: 'f32', shape: [600_001], data: counted });
  await fs.truncate(at('shrinks'), 1000);
  await expect(readTensor(weightOf(file, 'w'), 'f32')).rejects.toThrow(FileFormatError);
  await file.close();
});

test('a file that is refused is closed again', async () => {
  await fs.writeFile(at('garbage'), 'garbage');
  const opening = vi.spyOn(fs, 'open');
  await expect(openSafetensors(at('garbage'))).rejects.toThrow(FileFormatError);
  const handle = await opening.mock.results[0]?.value;
  opening.mockRestore();
  expect(handle.fd).toBe(-1); // what Node gives for a closed file
  await expect(openSafetensors(at('none'))).rejects.toThrow(NotFoundError);
});

test('a checkpoint that diffusers wrote is read', async () => {
  const file = await openSafetensors(vae);
  expect(file.metadata).toEqual({ format: 'pt' });
  expect(file.weights.size).toBe(252);
  const convIn = weightOf(file, 'decoder.conv_in.weight');
  expect(convIn).toMatchObject({ dtype: 'f16', shape: [64, 4, 3, 3], file: vae });
  await file.close();
});
