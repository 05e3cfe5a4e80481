import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { InterruptedError, RequestError } from '../../src/errors.ts';
import { sweepLock, underLock } from '../../src/hub/file-lock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const temporary = temporaryFolder();

test('of several at once, one works at a time, and nothing is left', async () => {
  const path = temporary('several.lock');
  let working = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++working);
    await setTimeout(5);
    working--;
  };
  await Promise.all(Array.from({ length: 6 }, () => underLock(path, undefined, work)));
  expect(most).toBe(1);
  expect(existsSync(path)).toBe(false);
});

describe('a lock is taken over', () => {
  test('from a process that ended, by one of those who wait', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    const path = lockOf('ended.lock', { host: hostname(), pid });
    let working = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 4 }, () =>
        underLock(path, undefined, async () => {
          most = Math.max(most, ++working);
          await setTimeout(5);
          working--;
        }),
      ),
    );
    expect(most).toBe(1);
  });

  test('from another machine that has not been heard of for a minute', async () => {
    const path = lockOf('elsewhere.lock', { host: 'elsewhere', pid: 1 });
    const old = new Date(Date.now() - 61_000);
    utimesSync(path, old, old);
    expect(await underLock(path, undefined, async () => 'mine')).toBe('mine');
  });
});

test('a lock that is dated in the future is taken over, too', async () => {
  const path = lockOf('future.lock', { host: 'elsewhere', pid: 1 });
  const future = new Date(Date.now() + 86_400_000);
  utimesSync(path, future, future);
  expect(await underLock(path, AbortSignal.timeout(5000), async () => 'mine')).toBe('mine');
});

test.each([
  ['a folder', (path: string) => mkdirSync(path)],
  ['a link to nothing', (path: string) => symlinkSync('nowhere', path)],
])('%s in the place of a lock is an error, not waited for', async (name, make) => {
  mkdirSync(temporary(), { recursive: true });
  const path = temporary(`${name}.lock`);
  make(path);
  const failure = await rejectionOf(underLock(path, AbortSignal.timeout(5000), async () => {}));
  expect(failure).toBeInstanceOf(RequestError);
  expect(String(failure)).toContain(path);
});

test('a lock that a killed process left goes, with the guard of one that died replacing it; a living one’s stays', async () => {
  const { pid } = spawnSync(process.execPath, ['--version']);
  const left = lockOf('left.lock', { host: hostname(), pid });
  lockOf('left.lock.replacing', { host: hostname(), pid });
  const held = lockOf('held.lock', { host: hostname(), pid: process.pid });
  expect([await sweepLock(left), await sweepLock(held)]).toEqual([true, false]);
  expect(readdirSync(temporary()).filter((name) => /left|held/.test(name))).toEqual(['held.lock']);
});

test('a lock of another machine that lives is waited for, until the user stops it', async () => {
  const path = lockOf('alive.lock', { host: 'elsewhere', pid: 1 });
  const waiting = rejectionOf(underLock(path, AbortSignal.timeout(120), async () => {}));
  expect(await waiting).toBeInstanceOf(InterruptedError);
  expect(readFileSync(path, 'utf8')).toContain('elsewhere');
});

test('work that fails gives the lock back', async () => {
  const path = temporary('failed.lock');
  const failure = new Error('no');
  await expect(underLock(path, undefined, () => Promise.reject(failure))).rejects.toBe(failure);
  expect(existsSync(path)).toBe(false);
});

function lockOf(name: string, holder: { host: string; pid: number | undefined }): string {
  mkdirSync(temporary(), { recursive: true });
  writeFileSync(temporary(name), JSON.stringify(holder));
  return temporary(name);
}
