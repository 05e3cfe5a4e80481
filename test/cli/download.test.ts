import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { checkpointFiles, neededFiles, repository } from '../support/hub-checkpoint.ts';
import { filesBelow, hubFixture } from '../support/hub-fixture.ts';

const root = join(import.meta.dirname, '../..');
const hub = hubFixture();
const unet = 'unet/diffusion_pytorch_model.safetensors';

beforeEach(() => void hub.server.repositories.set('org/model', repository(checkpointFiles)));

test('the environment says where the Hub and its cache are, and who asks; --json prints JSON alone', async () => {
  hub.server.repositories.set('org/model', repository(checkpointFiles, { privateTo: 'hf_me' }));
  const { code, stdout, stderr } = await run(['download', 'org/model', '--json'], { HF_TOKEN: 'hf_me' });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trim().split('\n');
  const events = lines.map((line) => JSON.parse(line));
  expect(events[0]).toEqual({ event: 'stage', stage: 'download', state: 'started' });
  const { event, result } = events.at(-1);
  expect(event).toBe('result');
  expect(result.path.startsWith(hub.options.cacheDir)).toBe(true);
  expect(filesBelow(result.path)).toEqual(neededFiles);
});

test('options stand above the environment', async () => {
  const elsewhere = `${hub.options.cacheDir}-elsewhere`;
  const options = ['--token', 'hf_me', '--cache-dir', elsewhere, '--revision', 'v1.0'];
  const { code, stdout } = await run(['download', 'org/model', ...options], { HF_TOKEN: 'hf_bad' });
  expect(code).toBe(0);
  expect(stdout).toContain('11 files, 75.5 kB, in ');
  expect(stdout).toContain(elsewhere);
  expect(readFileSync(join(elsewhere, 'models--org--model/refs/v1.0'), 'utf8')).toHaveLength(40);
});

test('a refusal is one sentence and an advice, exit code 1', async () => {
  const { code, stderr } = await run(['download', 'org/nothing']);
  expect(code).toBe(1);
  expect(stderr).toContain('RepositoryNotFoundError: org/nothing is neither a file or folder here');
  expect(stderr).toContain('--token or HF_TOKEN');
});

test('HF_HUB_OFFLINE asks nothing, and --no-offline overrules it', async () => {
  const offline = { HF_HUB_OFFLINE: '1' };
  expect((await run(['download', 'org/model'], offline)).stderr).toContain(
    'offline nothing can be downloaded',
  );
  expect(hub.server.seen).toEqual([]);
  expect((await run(['download', 'org/model', '--no-offline'], offline)).code).toBe(0);
  expect((await run(['download', 'org/model'], offline)).code).toBe(0);
});

test('two processes at once download each file once', async () => {
  hub.server.fault = () => ({ kind: 'slow', pieces: 20, milliseconds: 20 });
  const both = await Promise.all([run(['download', 'org/model']), run(['download', 'org/model'])]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(hub.fileRequests()).toHaveLength(neededFiles.length);
});

test('Ctrl-C keeps what came, and the next run goes on from there', async () => {
  hub.faultOf(unet, { kind: 'slow', pieces: 100, milliseconds: 50 });
  const stopped = await run(['download', 'org/model'], {}, (child) => {
    const look = setInterval(() => {
      if (hub.rangesOf(unet).length === 0) return;
      clearInterval(look);
      setTimeout(() => child.kill('SIGINT'), 300);
    }, 20);
  });
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toContain('the downloaded part is kept');
  expect((await run(['download', 'org/model'])).code).toBe(0);
  expect(hub.rangesOf(unet).at(-1)).toMatch(/^bytes=[1-9]\d*-$/);
});

/** Runs the command line against the imitation of the Hub, with the cache of the test. */
function run(
  args: readonly string[],
  env: Record<string, string> = {},
  started: (child: { kill(signal: 'SIGINT'): boolean }) => void = () => {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { HF_TOKEN: _, HUGGING_FACE_HUB_TOKEN: __, ...outside } = process.env;
  const child = spawn(process.execPath, [join(root, 'cli/main.ts'), ...args], {
    env: {
      ...outside,
      HF_HOME: `${hub.options.cacheDir}-home`,
      HF_HUB_CACHE: hub.options.cacheDir,
      HF_ENDPOINT: hub.server.url,
      NO_COLOR: '1',
      ...env,
    },
  });
  started(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}
