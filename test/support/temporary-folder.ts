import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/** A folder for the files of one test file, removed afterwards. Call at the top level; gives paths inside of it. */
export function temporaryFolder(): (...names: string[]) => string {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sdconvert-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return (...names) => {
    if (folder === '') throw new Error('a temporary folder is there only while tests run');
    return join(folder, ...names);
  };
}
