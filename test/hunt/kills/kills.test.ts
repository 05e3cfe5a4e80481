import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { artifactsOf, FileStates, treeOf } from '../../../hunt/kills/tree.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const at = temporaryFolder();
const run = join(import.meta.dirname, '../../../hunt/run.ts');

test('a hunt of kills that is told to end leaves nothing', async () => {
  mkdirSync(at('temporary'));
  const args = ['--no-warnings', run, '--command', 'chunk', '--kills', 'all'];
  const env = { ...process.env, TMPDIR: at('temporary') };
  const child = spawn(process.execPath, args, { env, stdio: 'ignore' });
  const hasBegun = () => {
    try {
      return readdirSync(at('temporary'), { recursive: true }).some((name) => /unet/.test(String(name)));
    } catch {
      return false; // a folder that went while it was listed: those of the seeds come and go
    }
  };
  while (!hasBegun() && child.exitCode === null) await new Promise((done) => setTimeout(done, 20));
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([143, null]);
  expect(readdirSync(at('temporary'))).toEqual([]);
});

test('a file that grows is right in a state that it went through, and in no other', () => {
  mkdirSync(at('growing'));
  const file = at('growing/x.json');
  const states = new FileStates(/x\.json$/);
  const write = (text: string) => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const isRight = () => states.has(artifactsOf(treeOf(at('growing'))).get('x.json') ?? new Map());
  for (const text of ['1', '1, 2', '1, 2, 3']) {
    write(text);
    states.note(at('growing'));
  }
  write('1, 2');
  expect(isRight()).toBe(true);
  write('1, ');
  expect(isRight()).toBe(false);
});
