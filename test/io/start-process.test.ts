import { execFile } from 'node:child_process';
import { promises as fs } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { endOf, startProcess } from '../../src/io/start-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const source = new URL('../../src/io/start-process.ts', import.meta.url).href;

async function script(name: string, code: string): Promise<string> {
  await fs.writeFile(at(name), code);
  return at(name);
}

test('whoever sent a long message still waits for what the process says last', async () => {
  // The channel stays open for a while after the process has ended, as another has inherited it.
  const child = await script(
    'child.mjs',
    `import { spawn } from 'node:child_process';
     process.once('message', () => {
       spawn('sleep', ['0.5'], { stdio: ['ignore', 'ignore', 'ignore', Number(process.env.NODE_CHANNEL_FD ?? 3)] });
       process.exit();
     });`,
  );
  const parent = await script(
    'parent.mjs',
    `import { endOf, startProcess } from ${JSON.stringify(source)};
     const child = startProcess(new URL(${JSON.stringify(pathToFileURL(child).href)}), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
     child.send({ long: new Uint8Array(10e6) });
     console.log(await endOf(child));`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, ['--no-warnings', parent]);
  expect(stdout).toBe('exit code 0\n');
});

test.each([
  ['process.exit(3)', 'exit code 3'],
  ["process.kill(process.pid, 'SIGKILL'); setTimeout(() => {}, 5000)", 'SIGKILL'],
])('%s is told as %s', async (code, how) => {
  const child = startProcess(pathToFileURL(await script('ends.mjs', code)), {});
  expect(await endOf(child)).toBe(how);
});

test('a process that cannot be started is told as such', async () => {
  const missing = fileURLToPath(new URL('./none', import.meta.url));
  const child = startProcess(pathToFileURL(at('ends.mjs')), { execPath: missing });
  expect(await endOf(child)).toContain('ENOENT');
});
