import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { OutputExistsError, RequestError, UploadError } from '../../src/errors.ts';
import { compareRecords } from '../../src/fleet/store/store.ts';
import { uploadFolder } from '../../src/hub/upload-folder.ts';
import { scrambled } from '../support/hub-checkpoint.ts';
import { hubFixture } from '../support/hub-fixture.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const hub = hubFixture();
const at = temporaryFolder();

const files: Readonly<Record<string, Uint8Array>> = {
  'onnx/unet/model.onnx': scrambled(700, 1),
  'onnx/unet/model.onnx_data': scrambled(70_000, 2),
  'sdconvert.json': Buffer.from('{}'),
};

let folders = 0;

function folderOf(contents: Readonly<Record<string, Uint8Array>>): string {
  const folder = at(`folder${folders++}`);
  for (const [name, bytes] of Object.entries(contents)) {
    mkdirSync(dirname(`${folder}/${name}`), { recursive: true });
    writeFileSync(`${folder}/${name}`, bytes);
  }
  return folder;
}

const how = { repo: 'org/made', record: 'sdconvert.json', compare: compareRecords, title: 'Add' };

const upload = (folder: string, token: string | undefined = 'hf_writer', path = '') =>
  uploadFolder({ ...how, path, folder }, { ...hub.options, token }, {});

let folder = '';
beforeEach(() => {
  folder = folderOf(files);
});

const filesThere = () => hub.server.repositories.get('org/made')?.files ?? {};

test('a folder goes into a repository that is made for it, in one commit, large files by Git LFS', async () => {
  expect(await upload(folder)).toBe('uploaded');
  expect(Object.keys(filesThere()).sort()).toEqual(Object.keys(files));
  for (const [name, bytes] of Object.entries(files))
    expect(Buffer.from(filesThere()[name] ?? []).equals(bytes)).toBe(true);
  expect(hub.server.commits).toEqual(['org/made']);
  expect(hub.server.uploads.size).toBe(2);
});

test('in a repository of several results each has a folder', async () => {
  await upload(folder, 'hf_writer', 'dreamshaper/palette-6');
  expect(Object.keys(filesThere())).toContain('dreamshaper/palette-6/onnx/unet/model.onnx');
});

test('what is there already is not uploaded again', async () => {
  await upload(folder);
  expect(await upload(folder)).toBe('there');
  expect(hub.server.commits).toHaveLength(1);
});

test('another result is not overwritten', async () => {
  await upload(folder);
  const error = await rejectionOf(
    upload(folderOf({ ...files, 'sdconvert.json': Buffer.from('{"other":1}') })),
  );
  expect(error).toBeInstanceOf(OutputExistsError);
  expect(error.message).toMatch(
    /^org\/made holds another result: its sdconvert.json differs\.\nDelete it on /,
  );
  expect(hub.server.commits).toHaveLength(1);
});

test('a result that was only measured since takes the place of its record', async () => {
  const measured = (quality?: object) =>
    folderOf({ ...files, 'sdconvert.json': Buffer.from(JSON.stringify({ item: { id: 'a', quality } })) });
  await upload(measured());
  expect(await upload(measured({ reference: 'float32' }))).toBe('uploaded');
  expect(Buffer.from(filesThere()['sdconvert.json'] ?? []).toString()).toContain('float32');
  expect(await upload(measured())).toBe('there');
});

test('a token without the right to write is refused in a sentence', async () => {
  const error = await rejectionOf(upload(folder, 'hf_reader'));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.message).toMatch(
    / does not let this token write to org\/made\.\nGive one with the right to write there/,
  );
});

test('without a token, the sentence says where to make one', async () => {
  const error = await rejectionOf(upload(folder, ''));
  expect(error.message).toMatch(
    /^a token is needed to put results into org\/made\.\nMake one that may write on /,
  );
});

test('a Hub that does not answer is an error that may pass', async () => {
  const options = { ...hub.options, endpoint: 'http://127.0.0.1:9', token: 'hf_writer' };
  const to = { ...how, path: '', folder };
  expect(await rejectionOf(uploadFolder(to, options, {}))).toBeInstanceOf(UploadError);
});
