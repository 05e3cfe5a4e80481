import { linkSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readText } from '../../src/io/disk.ts';
import { oncePerFile } from '../../src/io/once-per-file.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

test('a file is looked into once, whatever it is called, and again when it was changed', async () => {
  let looks = 0;
  const read = oncePerFile((path) => {
    looks++;
    return readText(path);
  });
  writeFileSync(at('file'), 'one');
  linkSync(at('file'), at('second name'));
  symlinkSync(at('file'), at('link'));
  for (const name of ['file', 'second name', 'link', 'file'])
    for (let turn = 0; turn < 100; turn++) expect(await read(at(name))).toBe('one');
  expect(looks).toBe(1);
  writeFileSync(at('other'), 'two');
  expect(await read(at('other'))).toBe('two');
  writeFileSync(at('link'), 'three');
  expect(await read(at('file'))).toBe('three');
  expect(looks).toBe(3);
});

test('what is not there is said of each', async () => {
  const read = oncePerFile(readText);
  await expect(read(at('nowhere'))).rejects.toThrow('nowhere');
  await expect(read(at('elsewhere'))).rejects.toThrow('elsewhere');
});
