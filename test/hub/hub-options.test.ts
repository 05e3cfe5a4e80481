import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { type HubEnvironment, hubOptionsFrom } from '../../src/hub/hub-options.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const temporary = temporaryFolder();

describe('the environment decides as for Python’s huggingface_hub', () => {
  const caches: readonly [env: HubEnvironment, cacheDir: string][] = [
    [{}, '/home/me/.cache/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/xdg' }, '/xdg/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/xdg', HF_HOME: '/hf' }, '/hf/hub'],
    [{ HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
    [{ HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/new' }, '/new'],
    [{ HF_HOME: '~/hf' }, '/home/me/hf/hub'],
    [{ HF_HOME: '' }, '/home/me/.cache/huggingface/hub'],
  ];
  test.each(caches)('%j keeps files in %s', async (env, cacheDir) => {
    expect(await hubOptionsFrom(env, '/home/me')).toMatchObject({ cacheDir });
  });

  test.each(['1', 'true', 'YES', 'On'])('HF_HUB_OFFLINE=%s is offline', async (value) => {
    expect((await hubOptionsFrom({ HF_HUB_OFFLINE: value }, '/')).offline).toBe(true);
  });

  test.each(['0', 'false', '', 'no'])('HF_HUB_OFFLINE=%s is not', async (value) => {
    expect((await hubOptionsFrom({ HF_HUB_OFFLINE: value }, '/')).offline).toBe(false);
  });

  test('HF_ENDPOINT names a mirror', async () => {
    const { endpoint } = await hubOptionsFrom({ HF_ENDPOINT: 'https://mirror.example' }, '/');
    expect(endpoint).toBe('https://mirror.example');
  });
});

test('a token comes from HF_TOKEN, its older name, or the file that a login left, in this order', async () => {
  const HF_HOME = temporary('hf');
  mkdirSync(HF_HOME);
  expect((await hubOptionsFrom({ HF_HOME }, '/')).token).toBeUndefined();
  writeFileSync(temporary('hf', 'token'), 'hf_file\n');
  expect((await hubOptionsFrom({ HF_HOME }, '/')).token).toBe('hf_file');
  const older = { HF_HOME, HUGGING_FACE_HUB_TOKEN: 'hf_older' };
  expect((await hubOptionsFrom(older, '/')).token).toBe('hf_older');
  expect((await hubOptionsFrom({ ...older, HF_TOKEN: ' hf_new\n' }, '/')).token).toBe('hf_new');
});

test.each([
  ['a folder', (path: string) => mkdirSync(path)],
  ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
  ['a file that is too large for one', (path: string) => writeFileSync(path, 'x'.repeat(100_000))],
  ['a file that may not be read', (path: string) => writeFileSync(path, 'hf_theirs', { mode: 0o000 })],
])('%s in the place of a token is no token, and no reason to fail', async (what, make) => {
  const HF_HOME = temporary(what.replaceAll(' ', '-'));
  mkdirSync(HF_HOME);
  make(join(HF_HOME, 'token'));
  // Root reads everything.
  if (process.getuid?.() === 0 && what.endsWith('not be read')) return;
  const { token, unreadableToken } = await hubOptionsFrom({ HF_HOME }, '/');
  expect(token).toBeUndefined();
  expect(unreadableToken).toContain(join(HF_HOME, 'token'));
});

test('an empty HOME is none', async () => {
  vi.resetModules();
  vi.doMock('node:os', async (original) => ({
    ...(await original<typeof import('node:os')>()),
    homedir: () => '',
  }));
  const { ownHubOptions } = await import('../../src/hub/hub-options.ts');
  expect((await ownHubOptions()).cacheDir).toBe('/.cache/huggingface/hub');
  vi.doUnmock('node:os');
});

test('a user that the system gives no home has the cache at the root', async () => {
  vi.resetModules();
  vi.doMock('node:os', async (original) => ({
    ...(await original<typeof import('node:os')>()),
    homedir: () => {
      throw new Error('no such user');
    },
  }));
  const { ownHubOptions } = await import('../../src/hub/hub-options.ts');
  expect((await ownHubOptions()).cacheDir).toBe('/.cache/huggingface/hub');
  vi.doUnmock('node:os');
});
