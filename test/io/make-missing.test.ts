import { promises as fs, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { makeMissing } from '../../src/io/make-missing.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

afterEach(() => vi.restoreAllMocks());

test('many make their folders below the same missing parents at the same time', async () => {
  for (let round = 0; round < 20; round++) {
    const paths = Array.from({ length: 8 }, (_, one) => at(join(`round${round}`, 'a', 'b', `${one % 4}`)));
    await Promise.all(paths.map(makeMissing));
    expect(paths.every((path) => statSync(path).isDirectory())).toBe(true);
  }
});

test('the first folder that was made is told, or none', async () => {
  expect(await makeMissing(at(join('x', 'y', 'z')))).toBe(at('x'));
  expect(await makeMissing(at(join('x', 'y', 'z')))).toBeUndefined();
  await rm(at(join('x', 'y')), { recursive: true });
  expect(await makeMissing(at(join('x', 'y', 'z')))).toBe(at(join('x', 'y')));
});

test('a link that leads nowhere is not called a file', async () => {
  await fs.symlink(at('nowhere'), at('dangling'));
  for (const path of [at('dangling'), at(join('dangling', 'below'))])
    expect((await rejectionOf(makeMissing(path))).problem).toBe(
      `${at('dangling')} is a link that leads nowhere, and a folder is needed there.`,
    );
});

test('where not even the root is there, as with a drive of Windows that is not plugged in, it ends', async () => {
  const gone = Object.assign(new Error('gone'), { code: 'ENOENT' });
  vi.spyOn(fs, 'stat').mockRejectedValue(gone);
  vi.spyOn(fs, 'mkdir').mockRejectedValue(gone);
  await expect(makeMissing(resolve('/models/out'))).rejects.toBe(gone);
});
