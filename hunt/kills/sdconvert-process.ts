import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** The command line: from source, or with HUNT_MAIN what `npm run build` made of it, which starts faster. */
const main = resolve(process.env.HUNT_MAIN ?? join(root, 'cli', 'main.ts'));

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
  const line = [
    ...within,
    process.execPath,
    '--no-warnings',
    ...['--import', join(import.meta.dirname, 'kill-preload.ts')],
    main,
    ...args,
  ];
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
