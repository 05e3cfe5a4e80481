import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Ended, type KilledRun, runLine, temporaryIn } from './sdconvert-process.ts';

const root = join(import.meta.dirname, '..', '..');

/** The command line that users have; `npm run build` makes what it runs. */
const program = join(root, 'bin', 'sdconvert.js');

/** System calls that change the disk. A file that is made is seen before the first of its writes. */
const systemCalls = [
  ...['rename', 'renameat', 'renameat2', 'mkdir', 'mkdirat', 'unlink', 'unlinkat', 'rmdir', 'link', 'linkat'],
  ...['symlink', 'symlinkat', 'write', 'writev', 'pwrite64', 'pwritev', 'sendfile', 'copy_file_range'],
  ...['fdatasync', 'fsync', 'truncate', 'ftruncate', 'fallocate'],
];

/** Whether this machine can. */
export function canTrace(): boolean {
  return spawnSync('strace', ['-V']).status === 0 && existsSync(join(root, 'dist', 'js', 'main.js'));
}

/**
 * Runs the built command line as users do, with its threads and processes, and has the system end it by SIGKILL at the entry
 * of a call that changes the disk. A thread's calls of each name are numbered.
 */
export class TracedProcess {
  #moments: readonly { readonly call: string; readonly at: number }[] = [];

  /** Runs it once without a kill, and gives the number of calls to kill it at. */
  async count(args: readonly string[], cwd: string): Promise<number> {
    const log = `${cwd}.strace`;
    const { code, output } = await traced(args, cwd, ['-y', '-o', log, '-e', `trace=${all(systemCalls)}`]);
    if (code !== 0) throw new Error(`the built command ends with ${code}: ${output}`);
    // Counted by process or thread, as strace does when it injects.
    const made = new Map<string, number>();
    const moments = new Map<string, { readonly call: string; readonly at: number }>();
    for (const [, thread, call = '', what] of readFileSync(log, 'utf8').matchAll(/^(\d+)\s+(\w+)\((.*)/gm)) {
      const at = (made.get(`${thread} ${call}`) ?? 0) + 1;
      made.set(`${thread} ${call}`, at);
      // Threads wake each other, and programs speak, by writing.
      if (!/^(write|writev|sendfile)$/.test(call) || what?.includes(`<${cwd}/`))
        moments.set(`${call} ${at}`, { call, at });
    }
    rmSync(log);
    this.#moments = [...moments.values()];
    return this.#moments.length;
  }

  async run(args: readonly string[], { cwd, killAt = 0 }: KilledRun): Promise<Ended> {
    const { call = '', at = 0 } = this.#moments[killAt - 1] ?? {};
    const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${at}`];
    const { code, output } = await traced(args, cwd, ['-o', '/dev/null', ...inject]);
    return { code: output.includes('SIGKILL') ? 'SIGKILL' : code, output };
  }
}

/** Names that a processor does not have are passed over. */
function all(calls: readonly string[]): string {
  return calls.map((call) => `?${call}`).join();
}

function traced(args: readonly string[], cwd: string, options: readonly string[]): Promise<Ended> {
  // One thread for all calls, so that they have one order.
  const env = { ...temporaryIn(cwd), UV_THREADPOOL_SIZE: '1' };
  return runLine(['strace', '-f', '-qq', ...options, process.execPath, program, ...args], { cwd, env });
}
