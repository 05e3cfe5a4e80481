import { AsyncLocalStorage } from 'node:async_hooks';
import type fs from 'node:fs';
import { join } from 'node:path';
import { beforeChanges } from './changing-calls.ts';
import { type Ended, type KilledRun, temporaryIn } from './sdconvert-process.ts';

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');

/** A run of the command line in this process. */
interface Run {
  /** Calls that it has made, of those that change the disk. */
  made: number;
  readonly killAt: number;
  readonly onKill: () => void;
  readonly onCall: () => void;
  readonly onOpen: (handle: fs.promises.FileHandle) => void;
  /** Calls that change the disk and have not ended: they end in a process that is killed, too. */
  readonly underWay: Set<Promise<unknown>>;
}

const current = new AsyncLocalStorage<Run>();
let runs = 0;

/**
 * Prepares this process: calls are counted, and whatever it leaves behind counts as left by a process that is gone, until the
 * result is called.
 */
export function prepareProcess(): () => void {
  const undo = beforeChanges(
    () => {
      const run = current.getStore();
      if (!run) return undefined;
      run.onCall();
      if (++run.made < run.killAt) return undefined;
      run.onKill();
      return new Promise(() => {}); // as in a process that is gone, nothing comes after it
    },
    (handle) => current.getStore()?.onOpen(handle),
    (call) => {
      const { underWay } = current.getStore() ?? {};
      underWay?.add(call);
      const end = () => underWay?.delete(call);
      call.then(end, end);
    },
  );
  const kill = process.kill.bind(process);
  process.kill = (pid, signal) => {
    if (signal !== 0) return kill(pid, signal);
    throw Object.assign(new Error('no such process'), { code: 'ESRCH' });
  };
  for (const emitter of [process, process.stdout, process.stderr]) emitter.setMaxListeners(0);
  return () => {
    process.kill = kill;
    undo();
  };
}

/**
 * Runs the command line in this process, which takes a hundredth of the time of one of its own, and stops it for good before
 * a call that changes the disk. Its folder must be new to this process, which remembers folders that it has looked through.
 */
export async function sdconvertHere(
  args: readonly string[],
  { cwd, killAt = Number.POSITIVE_INFINITY, states, program = main }: KilledRun,
): Promise<Ended & { readonly calls: number }> {
  const killed = Promise.withResolvers<true>();
  const opened = new OpenFiles();
  const run: Run = {
    ...{ made: 0, killAt, onKill: () => killed.resolve(true), onCall: () => states?.note(cwd) },
    ...{ onOpen: (handle) => opened.add(handle), underWay: new Set() },
  };
  let output = '';
  const listen = (text: string | Uint8Array): boolean => {
    output += text;
    return true;
  };
  const restore = keepProcess();
  [process.stdout.write, process.stderr.write] = [listen, listen];
  process.argv = [process.execPath, program, ...args];
  Object.assign(process.env, temporaryIn(cwd));
  process.chdir(cwd);
  try {
    const ended = current.run(run, () => import(`${program}?run=${runs++}`)).then(() => false);
    const wasKilled = await Promise.race([ended, killed.promise]);
    await Promise.allSettled(run.underWay);
    if (!wasKilled && opened.count > 0)
      throw new Error(`it ends with files open, ${opened.count} of them: ${args.join(' ')}`);
    return { code: wasKilled ? 'SIGKILL' : Number(process.exitCode ?? 0), output, calls: run.made };
  } finally {
    restore();
    await opened.closeAll();
  }
}

/** Files that a run has open. What it does beside the call that it is killed at may open some later. */
class OpenFiles {
  readonly #handles = new Set<fs.promises.FileHandle>();
  #isOver = false;

  add(handle: fs.promises.FileHandle): void {
    if (this.#isOver) void handle.close();
    else this.#handles.add(handle);
  }

  get count(): number {
    return [...this.#handles].filter(({ fd }) => fd >= 0).length;
  }

  async closeAll(): Promise<void> {
    this.#isOver = true;
    for (const handle of this.#handles) await handle.close().catch(() => {});
  }
}

/** What a run changes of the process; the result puts it back. */
function keepProcess(): () => void {
  const [argv, folder, exitCode] = [process.argv, process.cwd(), process.exitCode];
  const environment = Object.keys(temporaryIn(folder)).map((name) => [name, process.env[name]] as const);
  const writes = [process.stdout.write, process.stderr.write] as const;
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const;
  const listeners = signals.map((signal) => process.listeners(signal));
  return () => {
    process.chdir(folder);
    process.argv = argv;
    process.exitCode = exitCode;
    for (const [name, value] of environment) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    [process.stdout.write, process.stderr.write] = writes;
    for (const [index, signal] of signals.entries()) {
      process.removeAllListeners(signal);
      for (const listener of listeners[index] ?? []) process.on(signal, listener);
    }
  };
}
