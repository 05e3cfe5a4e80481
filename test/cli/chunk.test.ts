import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const main = join(import.meta.dirname, '../../cli/main.ts');

test.each([
  ['--merge-chunks-in-pipeline-model', 'apps load the two chunks as they are'],
  ['--check-output-correctness', 'sdconvert validate CHUNK --reference MODEL'],
])(
  'what only Apple’s chunk_mlprogram does is refused, with what to do instead: %s',
  async (option, advice) => {
    const args = ['chunk_mlprogram', '--mlpackage-path', 'never-read.mlpackage', option];
    const { code, stderr } = await promisify(execFile)(process.execPath, [main, ...args]).catch(
      (error) => error,
    );
    expect(code).toBe(1);
    expect(stderr).toContain(`chunk does not take Apple’s ${option}.`);
    expect(stderr).toContain(advice);
  },
);
