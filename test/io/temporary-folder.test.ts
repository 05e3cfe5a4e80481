import { promises as fs, writeFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { claimTemporaryFolder, makeTemporaryFolder } from '../../src/io/temporary-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

afterEach(() => vi.restoreAllMocks());

test('where there is no place for a temporary folder, the sentence says how to name another', async () => {
  writeFileSync(at('file'), '');
  for (const [base, obstacle] of [
    [at('none'), 'does not exist'],
    [at('file'), 'is a file'],
  ] as const) {
    const { problem, advice } = await rejectionOf(makeTemporaryFolder(base));
    expect(problem).toBe(`${base}, the folder for temporary files, ${obstacle}.`);
    expect(advice).toContain('TMPDIR');
  }
  vi.spyOn(fs, 'mkdir').mockRejectedValue(Object.assign(new Error('EROFS'), { code: 'EROFS' }));
  const { problem } = await rejectionOf(makeTemporaryFolder(at()));
  expect(problem).toContain('may not be written into');
});

test('a claimed folder is not there, and needs no place, until it is made', async () => {
  await (await claimTemporaryFolder(at('nowhere'))).remove();
  const folder = await claimTemporaryFolder(at());
  expect(await fs.readdir(at())).not.toContain(folder.path.slice(at().length + 1));
  await folder.make();
  expect((await fs.stat(folder.path)).mode & 0o077).toBe(0);
  await folder.remove();
  expect(await fs.readdir(at())).not.toContain(folder.path.slice(at().length + 1));
});
