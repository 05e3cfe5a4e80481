import { promises as fs } from 'node:fs';
import { fileURLToPath } from 'node:url';
import safetensors from 'safetensors';
import { expect, test } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { exists, listFolder } from '../../src/io/disk.ts';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { type NamedTensor, writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { bytesOf, readTensor } from '../../src/weights/tensor-data.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

const tensors = [
  { name: 'small', dtype: 'u8', shape: [3], data: Uint8Array.of(1, 2, 3) },
  { name: 'z', dtype: 'f32', shape: [2, 1], data: Float32Array.of(0.5, -1) },
  { name: 'a', dtype: 'f32', shape: [], data: Float32Array.of(7) },
  { name: 'half', dtype: 'f16', shape: [2], data: Uint16Array.of(0x3c00, 0xbc00) },
  { name: 'brain', dtype: 'bf16', shape: [1], data: Uint16Array.of(0x3f80) },
  { name: 'ids', dtype: 'i64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 40n) },
  { name: 'mask', dtype: 'bool', shape: [2], data: Uint8Array.of(0, 1) },
  { name: 'é "quoted" \n', dtype: 'f64', shape: [1], data: Float64Array.of(Math.PI) },
  { name: 'none', dtype: 'i32', shape: [4, 0], data: new Int32Array() },
] satisfies NamedTensor[];

test('what we write, another reader reads: the npm package safetensors', async () => {
  await writeSafetensors(at('oracle'), tensors);
  const other = new safetensors.SafeTensor(Uint8Array.from(await fs.readFile(at('oracle'))));
  const spelled = {
    u8: 'U8',
    f32: 'F32',
    f16: 'F16',
    bf16: 'BF16',
    i64: 'I64',
    bool: 'BOOL',
    f64: 'F64',
    i32: 'I32',
  };
  expect(other.metadata.size).toBe(tensors.length);
  for (const tensor of tensors) {
    expect(other.metadata.get(tensor.name)).toMatchObject({
      dtype: spelled[tensor.dtype],
      shape: tensor.shape,
    });
    expect(other.getTensor(tensor.name)).toEqual(bytesOf(tensor));
  }
});

test('what we write, we read', async () => {
  await writeSafetensors(at('own'), tensors, { seed: '7', note: 'ü' });
  const file = await openSafetensors(at('own'));
  expect(file.metadata).toEqual({ seed: '7', note: 'ü' });
  for (const { name, dtype, shape, data } of tensors) {
    const weight = file.weights.get(name);
    expect(weight && (await readTensor(weight, dtype))).toEqual({ dtype, shape, data });
  }
  await file.close();
});

test.each(['text_encoder/model', 'unet/diffusion_pytorch_model', 'vae/diffusion_pytorch_model'])(
  'a file of the reference implementation, read and written again in any order, has the same bytes: %s',
  async (name) => {
    const path = fileURLToPath(new URL(`../../models/sd-shapes/${name}.safetensors`, import.meta.url));
    const file = await openSafetensors(path);
    await writeSafetensors(at('again'), [...file.weights.values()].reverse(), file.metadata);
    await file.close();
    expect(Buffer.compare(await fs.readFile(at('again')), await fs.readFile(path))).toBe(0);
  },
);

test('every tensor begins at a multiple of its element size', async () => {
  await writeSafetensors(at('aligned'), tensors);
  const bytes = await fs.readFile(at('aligned'));
  const header = Number(bytes.readBigUInt64LE(0));
  const entries: Record<string, { data_offsets: [number, number] }> = JSON.parse(
    bytes.toString('utf8', 8, 8 + header),
  );
  for (const { name, data } of tensors) {
    expect((8 + header + (entries[name]?.data_offsets[0] ?? Number.NaN)) % data.BYTES_PER_ELEMENT).toBe(0);
  }
});

test('the same tensors in another order make the same file', async () => {
  await writeSafetensors(at('one'), tensors);
  await writeSafetensors(at('two'), tensors.toReversed());
  expect(await fs.readFile(at('one'))).toEqual(await fs.readFile(at('two')));
});

test('a name that is taken or reserved is refused before anything is written', async () => {
  const named = (name: string): NamedTensor => ({ name, dtype: 'u8', shape: [1], data: Uint8Array.of(1) });
  await expect(writeSafetensors(at('twice'), [named('a'), named('a')])).rejects.toThrow(RequestError);
  await expect(writeSafetensors(at('twice'), [named('__metadata__')])).rejects.toThrow(RequestError);
  expect(await exists(at('twice'))).toBe(false);
});

test('a tensor that fails half-way leaves no file', async () => {
  const failing: NamedTensor = {
    name: 'w',
    dtype: 'u8',
    shape: [10],
    async *stream() {
      yield new Uint8Array(5);
      throw new Error('the cable was pulled');
    },
  };
  await expect(writeSafetensors(at('fails', 'x'), [failing])).rejects.toThrow('the cable was pulled');
  expect(await listFolder(at('fails'))).toEqual([]);
});

test('a tensor that gives too few bytes is noticed', async () => {
  const short: NamedTensor = {
    name: 'w',
    dtype: 'f32',
    shape: [2],
    async *stream() {
      yield new Uint8Array(4);
    },
  };
  await expect(writeSafetensors(at('short'), [short])).rejects.toThrow('w: 4 bytes for f32 [2], not 8');
});

test('a tensor that is none is refused before anything is written', async () => {
  const short: NamedTensor = { name: 'w', dtype: 'f32', shape: [2], data: Float32Array.of(1) };
  await expect(writeSafetensors(at('refused', 'x'), [short])).rejects.toThrow(
    'w cannot be written: its shape [2] has 2 elements, its data 1.',
  );
  // as: what JavaScript lets people do.
  const shouted = { ...short, dtype: 'F32' } as unknown as NamedTensor;
  await expect(writeSafetensors(at('refused', 'x'), [shouted])).rejects.toThrow(
    'w cannot be written: there is no dtype F32.',
  );
});
