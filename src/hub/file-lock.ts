import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { lookAtFile, readText, removePath } from '../io/disk.ts';
import { createOnce, touchFile } from '../io/shared-file.ts';
import { interruptedDownload } from './retry.ts';

/** A holder shows that it is alive this often … */
const SIGN_OF_LIFE = 10_000;
/** … and is taken for dead after this. */
const DEAD_AFTER = 60_000;
const LOOK_AGAIN = 50;

/**
 * Does work that no other process (or other part of this one) does at the same time under the same lock file. A holder
 * that died is replaced; one that only slept longer than a minute wakes up without its lock, so the work must be harmless
 * to do twice. Throws `InterruptedError` when the signal aborts the wait, and as `createOnce` does.
 */
export async function underLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  while (!(await createOnce(path, holder()))) {
    if (signal?.aborted) throw interruptedDownload();
    if (!(await sweepLock(path))) await setTimeout(LOOK_AGAIN);
  }
  const alive = setInterval(() => void touchFile(path), SIGN_OF_LIFE);
  try {
    return await work();
  } finally {
    clearInterval(alive);
    await removePath(path);
  }
}

function holder(): string {
  return JSON.stringify({ host: hostname(), pid: process.pid });
}

/** Removes a lock whose holder is dead, of work that may be done; gives whether it was so. */
export async function sweepLock(path: string): Promise<boolean> {
  const guard = `${path}.replacing`;
  if (await isStale(guard)) await removePath(guard);
  if (!(await isStale(path))) return false;
  // Looked at once more under a lock of its own: the first of several who found the holder dead may hold it by now.
  if (!(await createOnce(guard, holder()))) return true;
  if (await isStale(path)) await removePath(path);
  await removePath(guard);
  return true;
}

/** What is dated in the future by more than clocks differ says nothing, either. */
async function isOld(path: string): Promise<boolean> {
  return Math.abs(Date.now() - ((await lookAtFile(path))?.changed ?? Date.now())) > DEAD_AFTER;
}

async function isStale(path: string): Promise<boolean> {
  if (await isOld(path)) return true;
  const holder = await readHolder(path);
  return holder?.host === hostname() && !isRunning(holder.pid);
}

/** `undefined` for a lock that is gone or just being written. */
async function readHolder(path: string): Promise<{ host: string; pid: number } | undefined> {
  try {
    const { host, pid } = JSON.parse(await readText(path));
    return typeof host === 'string' && typeof pid === 'number' ? { host, pid } : undefined;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Another user's process: it runs.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
