import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FileStates } from './tree.ts';

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

/** A run that is killed. */
export interface KilledRun {
  readonly cwd: string;
  /** Number of the call that it is killed before; it is not killed where it is left out. */
  readonly killAt?: number | undefined;
  /** The command line when left out; only where it runs in this process. */
  readonly program?: string | undefined;
  /** Takes note of the files in the folder before each call that changes the disk. */
  readonly states?: FileStates | undefined;
}

/** The folder in the one that a command runs in that it takes for the system's folder for temporary files. */
export const TEMPORARY = 'tmp';

/** The environment in which it does so. */
export function temporaryIn(cwd: string): Readonly<Record<string, string>> {
  const folder = join(cwd, TEMPORARY);
  return { TMPDIR: folder, TEMP: folder, TMP: folder };
}

/** Runs the command line, with the hooks of `kill-preload.ts`. */
export function sdconvertProcess(
  args: readonly string[],
  { cwd, env = {}, within = [] }: RunOptions,
): Promise<Ended> {
  const line = [...within, process.execPath, '--no-warnings', ...['--import', preload], main, ...args];
  return runLine(line, { cwd, env });
}

/** Runs a command; it ends with this process. */
export function runLine(
  [command = '', ...rest]: readonly string[],
  { cwd, env = {} }: Omit<RunOptions, 'within'>,
): Promise<Ended> {
  const child = spawn(command, rest, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = (): void => void child.kill('SIGKILL');
  process.on('exit', end);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  return new Promise((done) =>
    child.on('close', (code, signal) => {
      process.off('exit', end);
      done({ code: code ?? signal, output });
    }),
  );
}

/**
 * Runs the command line in a process that starts others, and ends the one whose program is called `inside` by SIGKILL before
 * a call that changes the disk. Its code is then that signal, whatever is said of it.
 */
export async function sdconvertAround(
  args: readonly string[],
  { inside, cwd, killAt, states }: KilledRun & { readonly inside: string },
): Promise<Ended & { readonly calls: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'sdconvert-calls-'));
  const [counted, noted] = ['calls', 'states'].map((name) => join(folder, name));
  const env = {
    ...temporaryIn(cwd),
    NODE_OPTIONS: `--no-warnings --import=${pathToFileURL(preload)}`,
    HUNT_KILL_IN: inside,
    ...(counted !== undefined && { HUNT_CALLS: counted }),
    ...(noted !== undefined && states && { HUNT_STATES: noted, HUNT_GROWING: states.names.source }),
    ...(killAt !== undefined && { HUNT_KILL_AT: String(killAt) }),
  };
  const { code, output } = await sdconvertProcess(args, { cwd, env });
  const read = (file = ''): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  const calls = Number(read(counted));
  if (states) states.add(JSON.parse(read(noted) || '[]'));
  rmSync(folder, { recursive: true });
  return { code: output.includes('SIGKILL') ? 'SIGKILL' : code, output, calls };
}
