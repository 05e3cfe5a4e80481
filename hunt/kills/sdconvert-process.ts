import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..', '..');

/** The command line: from source, or with HUNT_MAIN what `npm run build` made of it, which starts faster. */
const main = resolve(process.env.HUNT_MAIN ?? join(root, 'cli', 'main.ts'));

const preload = join(import.meta.dirname, 'kill-preload.ts');

/** How a run of the command line ended. */
export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly code: number | string | null;
  readonly output: string;
}

/** How to run the command line. */
export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** A command in front of it: `unshare …`. */
  readonly within?: readonly string[] | undefined;
}

/** Runs the command line, with the hooks of `kill-preload.ts`. */
export function sdconvertProcess(
  args: readonly string[],
  { cwd, env = {}, within = [] }: RunOptions,
): Promise<Ended> {
  const line = [...within, process.execPath, '--no-warnings', ...['--import', preload], main, ...args];
  const [command = '', ...rest] = line;
  const child = spawn(command, rest, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  return new Promise((done) => child.on('close', (code, signal) => done({ code: code ?? signal, output })));
}

/**
 * Runs the command line in a process that starts others, and ends the one whose program is called `inside` by SIGKILL before
 * a call that changes the disk. Its code is then that signal, whatever is said of it.
 */
export async function sdconvertAround(
  args: readonly string[],
  {
    inside,
    cwd,
    killAt,
  }: { readonly inside: string; readonly cwd: string; readonly killAt?: number | undefined },
): Promise<Ended & { readonly calls: number }> {
  const counted = join(mkdtempSync(join(tmpdir(), 'sdconvert-calls-')), 'calls');
  const env = {
    NODE_OPTIONS: `--no-warnings --import=${pathToFileURL(preload)}`,
    HUNT_KILL_IN: inside,
    HUNT_CALLS: counted,
    ...(killAt !== undefined && { HUNT_KILL_AT: String(killAt) }),
  };
  const { code, output } = await sdconvertProcess(args, { cwd, env });
  const calls = existsSync(counted) ? Number(readFileSync(counted, 'utf8')) : 0;
  rmSync(dirname(counted), { recursive: true });
  return { code: output.includes('SIGKILL') ? 'SIGKILL' : code, output, calls };
}
