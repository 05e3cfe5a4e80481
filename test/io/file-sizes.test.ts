import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { filesIn } from '../../src/io/file-sizes.ts';
import { linkFolder } from '../../src/io/link-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();
let made = 0;
let folder = '';
beforeEach(() => {
  folder = `folder${made++}`;
  mkdirSync(at(folder, 'inner'), { recursive: true });
  writeFileSync(at(folder, 'a'), 'x');
  writeFileSync(at(folder, 'inner/b'), 'xyz');
});

test('files are found at any depth, in order; links that lead nowhere are none', async () => {
  symlinkSync('nowhere', at(folder, 'inner/c'));
  expect(await filesIn(at(folder))).toEqual([
    { name: 'a', byteLength: 1 },
    { name: 'inner/b', byteLength: 3 },
  ]);
});

test('folders that lead around in circles are refused, whoever walks through them', {
  timeout: 20_000,
}, async () => {
  for (const name of ['c', 'd']) symlinkSync('..', at(folder, 'inner', name));
  for (const walk of [() => filesIn(at(folder)), () => linkFolder(at(folder), at(`${folder}-linked`))]) {
    const error = await rejectionOf(walk());
    expect(error).toBeInstanceOf(RequestError);
    expect(error.problem).toContain('its folders lead around in circles');
  }
});

test('a folder is linked but for what is there, or is not wanted', async () => {
  writeFileSync(at(folder, 'c'), 'not wanted');
  mkdirSync(at(`${folder}-linked`));
  writeFileSync(at(`${folder}-linked/a`), 'there');
  await linkFolder(at(folder), at(`${folder}-linked`), new Set(['c']));
  expect(await filesIn(at(`${folder}-linked`))).toEqual([
    { name: 'a', byteLength: 5 },
    { name: 'inner/b', byteLength: 3 },
  ]);
});
