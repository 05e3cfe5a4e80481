import { createHash, randomBytes } from 'node:crypto';
import { constants, promises as fs } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join, sep } from 'node:path';
import { procLink, procText } from '../proc.ts';

/**
 * Owners of unfinished entries, and whether their processes still run. Process numbers mean nothing in another container or
 * on another machine that shares the folder: a live owner touches its entries regularly.
 */

/** Prefix of the names of all unfinished entries. */
const PREFIX = '.sdc-';

/** Name of the file that locks the folder that it is in for its writer. */
export const LOCK = `${PREFIX}lock`;

/** Name of the file that locks only the entry of this name beside it; of names that some disks take for one it is the same. */
export function lockOf(name: string): string {
  const digest = createHash('sha256').update(name.normalize('NFC').toLowerCase()).digest('hex');
  return `${LOCK}-${digest.slice(0, 12)}`;
}

/** Whether a name is kept for unfinished entries and locks, which no list shows. */
export function isStage(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** Whether a name is one that `stageName` gives: others are somebody's. */
export function isStageName(name: string): boolean {
  return /^\.sdc-[0-9a-z]{7,}-[0-9a-f]{12}$/.test(name);
}

/** Whether a name is that of a lock. */
export function isLock(name: string): boolean {
  return /^\.sdc-lock(-[0-9a-f]{12})?$/.test(name);
}

/** Time without a sign of life after which an owner counts as dead, in milliseconds. */
const DEAD_AFTER = 10 * 60_000;
/** Interval of the signs of life, in milliseconds. */
const SIGN_OF_LIFE = 20_000;

/** Stages of this process, and the paths that users know them by. */
const live = new Map<string, string>();

let alive: NodeJS.Timeout | undefined;

/** Returns the final path of a growing file or folder, for messages. */
export function finalPath(path: string): string {
  for (const [stage, final] of live) {
    if (path === stage || path.startsWith(stage + sep)) {
      const inside = path.slice(stage.length).replace(/^[/\\]new(?=[/\\]|$)/, '');
      return final + inside;
    }
  }
  return path;
}

/** Keeps a path marked as in use until `disown`; `final` is its path for the user. */
export function own(path: string, final: string): void {
  live.set(path, final);
  alive ??= setInterval(signOfLife, SIGN_OF_LIFE).unref();
}

/** Ends the ownership of a path. */
export function disown(path: string): void {
  live.delete(path);
  if (live.size > 0 || !alive) return;
  clearInterval(alive);
  alive = undefined;
}

/** Whether a path is this process's own. */
export function isOwn(path: string): boolean {
  return live.has(path);
}

/** A name that nothing has yet and that says whose it is. */
export function stageName(): string {
  return `${PREFIX}${owner}-${randomBytes(6).toString('hex')}`;
}

/** A name for a stage of `path`, kept as alive until it is disowned. Nothing is made yet. */
export function claimStage(path: string): string {
  const stage = join(dirname(path), stageName());
  own(stage, path);
  return stage;
}

function signOfLife(): void {
  const now = new Date();
  for (const stage of live.keys()) void fs.utimes(stage, now, now).catch(() => {});
}

/** Whether the owner of a stage or lock is gone: its process ended, or nothing was heard of it for ten minutes. */
export async function isAbandoned(path: string, by = ownerOf(path)): Promise<boolean> {
  const found = await fs.lstat(path).catch(() => undefined);
  if (!found) return false;
  const [, place, pid] = /^([0-9a-z]{6})([0-9a-z]+)$/.exec(by) ?? [];
  if (place === here && pid !== undefined && !isRunning(Number.parseInt(pid, 36))) return true;
  const silence = (await timeIn(dirname(path))) - found.mtimeMs;
  // What is dated in the future by more than clocks differ says nothing.
  return Math.abs(silence) > DEAD_AFTER;
}

function ownerOf(stage: string): string {
  return basename(stage).slice(PREFIX.length).split('-')[0] ?? '';
}

/** The time of the machine that keeps the folder, which may be another one's; of this one where nothing can be written. */
async function timeIn(folder: string): Promise<number> {
  const probe = join(folder, stageName());
  try {
    await fs.writeFile(probe, '', { flag: 'wx' });
  } catch {
    return Date.now();
  }
  const { mtimeMs } = await fs.lstat(probe);
  await fs.unlink(probe);
  return mtimeMs;
}

/** Identity of the scope of process numbers: the machine since its start, and the container. */
const here = createHash('sha256')
  .update([hostname(), procText('sys/kernel/random/boot_id').trim(), procLink('self/ns/pid')].join('\n'))
  .digest('hex')
  .slice(0, 6);

/** This process, for others to tell whether it lives. */
export const owner = `${here}${process.pid.toString(36)}`;

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Another user's process: it runs.
    return hasCode(error, 'EPERM');
  }
}

/** A pipe in the place of a file would be waited for, a link be followed. Windows has no such flags. */
const PLAIN = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);

/** Bytes of the longest journal of a stage. */
const LONGEST = 1 << 20;

/** The text of a small file of ours; `undefined` where there is none, or what may not be read or may have no end. */
export async function readPlain(path: string): Promise<string | undefined> {
  const handle = await fs.open(path, PLAIN).catch(() => undefined);
  try {
    const found = await handle?.stat();
    return found?.isFile() && found.size <= LONGEST ? await handle?.readFile('utf8') : undefined;
  } finally {
    await handle?.close();
  }
}

/** Whether an error is the system's with this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
