import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';

/** As the command line sets them (cli/memory.ts): the estimates of memory are made with them. */
const heapFlags = ['--max-semi-space-size=2', '--semi-space-growth-factor=1', '--optimize-for-size'];

/** Starts a script of ours in a process of its own, to which messages of every kind can be sent. */
export function startProcess(script: URL, options: ForkOptions): ChildProcess {
  // JSON has no infinities and no bytes.
  const child = fork(script, { execArgv: heapFlags, serialization: 'advanced', ...options });
  // Node lets go of it once a long message has been written, and this process would end without reading what that one says last.
  child.channel?.ref();
  return child;
}

/**
 * Waits until a process has ended and what it said last has been read, which it may be seen to end before: `SIGKILL`, `exit code 1`.
 * Never rejects.
 */
export async function endOf(child: ChildProcess): Promise<string> {
  const end = new Promise<string>((done) => {
    child.once('exit', (code, signal) => done(signal ?? `exit code ${code}`));
    child.once('error', (error) => child.pid === undefined && done(String(error))); // it did not start
  });
  if (child.pid !== undefined && child.connected)
    await new Promise<void>((done) => child.once('disconnect', done));
  return end;
}
