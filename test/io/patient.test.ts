import { promises as fs, mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { remove, rename } from '../../src/io/patient.ts';
import { sameButForCase } from '../../src/io/same-name.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
afterEach(() => vi.restoreAllMocks());

function failing(code: string, times: number): void {
  const spy = vi.spyOn(fs, 'rename');
  for (let i = 0; i < times; i++) spy.mockRejectedValueOnce(Object.assign(new Error(code), { code }));
}

test('a rename that a scanner on Windows refuses for a moment is tried again', async () => {
  vi.spyOn(process, 'platform', 'get').mockReturnValue('win32');
  for (const code of ['EPERM', 'EACCES', 'EBUSY']) {
    writeFileSync(at('growing'), code);
    failing(code, 2);
    await rename(at('growing'), at(code));
    expect(await fs.readFile(at(code), 'utf8')).toBe(code);
  }
});

test('a rename that is forbidden fails at once elsewhere', async () => {
  vi.spyOn(process, 'platform', 'get').mockReturnValue('linux');
  writeFileSync(at('growing'), '');
  failing('EACCES', 1);
  await expect(rename(at('growing'), at('grown'))).rejects.toThrow('EACCES');
});

test('files, folders and nothing at all are removed', async () => {
  mkdirSync(at('folder/inner'), { recursive: true });
  writeFileSync(at('file'), '');
  for (const name of ['folder', 'file', 'nothing']) await remove(at(name));
  expect(await fs.readdir(at())).not.toEqual(expect.arrayContaining(['folder', 'file']));
});

test.each([
  [['unet', 'vae'], undefined],
  [['unet', 'unet'], undefined],
  [
    ['a/Unet', 'b', 'A/unet'],
    ['a/Unet', 'A/unet'],
  ],
  [
    ['é', 'É'.normalize('NFD')],
    ['é', 'É'.normalize('NFD')],
  ],
])('%j', (names, same) => expect(sameButForCase(names)).toEqual(same));
