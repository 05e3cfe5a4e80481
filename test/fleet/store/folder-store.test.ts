import { createHash } from 'node:crypto';
import { existsSync, promises as fs, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { DiskSpaceError, FileFormatError, OutputExistsError } from '../../../src/errors.ts';
import { openStore, storeAddress } from '../../../src/fleet/store/open-store.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf, thrownBy } from '../../support/thrown-by.ts';

const at = temporaryFolder();
afterEach(() => vi.restoreAllMocks());

let made = 0;

/** A result: a folder with a record. */
function resultOf(record: string): string {
  const folder = at(`result${made++}`);
  mkdirSync(join(folder, 'onnx/unet'), { recursive: true });
  writeFileSync(join(folder, 'onnx/unet/model.onnx'), 'model');
  writeFileSync(join(folder, 'sdconvert.json'), record);
  return folder;
}

const newStore = () => openStore(at(`store${made++}`));

test('a result is put whole, and read in place', async () => {
  const store = await newStore();
  expect(await store.recordOf('a/b')).toBeUndefined();
  expect(await store.put('a/b', resultOf(measured()), {})).toBe('put');
  expect(await store.recordOf('a/b')).toBe(measured());
  const place = await store.get('a/b', at('not used'), {});
  expect(place).toBe(join(store.address, 'a/b'));
  expect(readFileSync(join(place, 'onnx/unet/model.onnx'), 'utf8')).toBe('model');
});

test('a result that is no longer what was put is not given', async () => {
  const store = await newStore();
  const file = {
    name: 'model.onnx',
    byteLength: 5,
    sha256: createHash('sha256').update('model').digest('hex'),
  };
  const artifacts = { 'onnx/unet': { source: {}, options: {}, files: [file] } };
  await store.put('a', resultOf(JSON.stringify({ sdconvert: '1', artifacts })), {});
  const model = join(await store.get('a', at('not used'), {}), 'onnx/unet/model.onnx');
  writeFileSync(model, 'modem');
  const error = await rejectionOf(store.get('a', at('not used'), {}));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toBe(`${model} is not the file that was put there.`);
});

test('of several that put the same at once one does, and the others find it there', async () => {
  const store = await newStore();
  const outcomes = await Promise.all(Array.from({ length: 8 }, () => store.put('a/b', resultOf('{}'), {})));
  expect(outcomes.sort()).toEqual(['put', ...Array(7).fill('there')]);
  expect(readdirSync(join(store.address, 'a'))).toEqual(['b']);
});

test('another result under the name is refused, and stays as it is', async () => {
  const store = await newStore();
  await store.put('a/b', resultOf('{}'), {});
  const error = await rejectionOf(store.put('a/b', resultOf('{"other":1}'), {}));
  expect(error).toBeInstanceOf(OutputExistsError);
  expect(error.problem).toBe(
    `${store.address} already holds another result under a/b: its sdconvert.json differs.`,
  );
  expect(await store.recordOf('a/b')).toBe('{}');
});

const measured = (quality?: object) =>
  JSON.stringify({ sdconvert: '1', item: { id: 'a', quality }, artifacts: {} });

test('a record that differs in what was measured alone takes the place of the one before', async () => {
  const store = await newStore();
  await store.put('a/b', resultOf(measured()), {});
  const quality = { reference: 'float32', psnr: { 'onnx/unet': 40 } };
  expect(await store.put('a/b', resultOf(measured(quality)), {})).toBe('put');
  expect(await store.recordOf('a/b')).toBe(measured(quality));
  expect(await store.put('a/b', resultOf(measured()), {})).toBe('there');
  expect(await store.recordOf('a/b')).toBe(measured(quality));
});

test('a result is removed whole, and nothing that is none', async () => {
  const store = await newStore();
  await store.put('a', resultOf('{}'), {});
  await store.put('a/b', resultOf('{}'), {});
  expect((await rejectionOf(store.remove('a'))).problem).toBe(
    `${store.address}/a cannot be replaced: another result is within it, b.`,
  );
  await store.remove('a/b');
  expect(await store.recordOf('a/b')).toBeUndefined();
  await store.remove('a');
  expect(readdirSync(store.address)).toEqual([]);
  writeFileSync(join(store.address, 'mine'), '');
  await store.remove('.');
  expect(readdirSync(store.address)).toEqual(['mine']);
});

test('a disk without room is a sentence, and leaves nothing behind', async () => {
  const store = await newStore();
  vi.spyOn(fs, 'link').mockRejectedValue(Object.assign(new Error(), { code: 'EXDEV' }));
  vi.spyOn(fs, 'copyFile').mockRejectedValue(Object.assign(new Error('full'), { code: 'ENOSPC' }));
  const error = await rejectionOf(store.put('a/b', resultOf('{}'), {}));
  expect(error).toBeInstanceOf(DiskSpaceError);
  expect(error.problem).toMatch(/^The disk is full: .* could not be written\.$/);
  expect(existsSync(store.address)).toBe(false);
});

test('addresses of other services are refused in a sentence', () => {
  expect(storeAddress('s3://models/converted/')).toBe('s3://models/converted');
  expect(storeAddress('s3://models')).toBe('s3://models');
  for (const address of ['s3:/models', 's3:models', 'gs:/models'])
    expect(thrownBy(() => storeAddress(address)).message).toContain(`${address} is no place for results.`);
  expect(thrownBy(() => storeAddress('gs://models')).message).toBe(
    'gs://models is no place for results.\nWrite a folder, or s3://bucket/prefix.',
  );
});
