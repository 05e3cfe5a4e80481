import { promises as fs } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { remove } from '../patient.ts';
import { type Holder, holderOf } from './abandoned-lock.ts';
import { claimStage, disown, hasCode, isOwn, LOCK, own, owner, readPlain } from './owner.ts';

/**
 * Holds a lock, the path of a file that is there as long as it is held, until it is released; gives who holds it already
 * instead. A lock whose owner is gone is taken over.
 */
export async function holdLock(lock: string): Promise<{ release(): Promise<void> } | { heldBy: string }> {
  const text = JSON.stringify({ owner, host: hostname(), pid: process.pid });
  let unread = 0;
  while (!(await makeLock(lock, text))) {
    const found = await readPlain(lock);
    if (found === undefined) {
      // Released meanwhile, or released and taken by another again and again.
      if (!(await isThere(lock)) || ++unread < ATTEMPTS) continue;
      return { heldBy: `its ${basename(lock)} cannot be read` };
    }
    const holder = await holderOf(lock, found);
    if (holder) return { heldBy: inWords(holder) };
  }
  const full = resolve(lock); // as who looks through its folder sees it
  own(full, lock);
  return {
    async release() {
      disown(full);
      // Another run may have taken this one for dead, and hold it by now.
      if ((await readPlain(lock)) === text) await remove(lock);
    },
  };
}

/** Whether this process writes into a folder now. */
export function isHeldHere(folder: string): boolean {
  return isOwn(resolve(folder, LOCK));
}

/** Who writes into a folder now, other than this process; `undefined` where nobody does. */
export async function otherWriter(folder: string): Promise<string | undefined> {
  const lock = join(folder, LOCK);
  const found = isHeldHere(folder) ? undefined : await readPlain(lock);
  // One whose owner is gone stays where nothing may be changed.
  const holder = found === undefined ? undefined : await holderOf(lock, found).catch(() => undefined);
  return holder && inWords(holder);
}

function inWords({ pid, host }: Holder): string {
  return `process ${pid} on ${host}`;
}

/**
 * Makes a lock unless there is one, and says whether it did. It appears with its text, where the disk has links: one without
 * would be nobody's for ten minutes when its process is killed in between.
 */
async function makeLock(lock: string, text: string): Promise<boolean> {
  const growing = claimStage(lock);
  try {
    await fs.writeFile(growing, text, { flag: 'wx' });
    await fs.link(growing, lock).catch(async (error: unknown) => {
      if (hasCode(error, 'EEXIST')) throw error;
      await fs.writeFile(lock, text, { flag: 'wx' });
    });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await remove(growing).catch(() => {});
    disown(growing);
  }
}

/** Attempts to read a lock that is there. */
const ATTEMPTS = 10;

async function isThere(path: string): Promise<boolean> {
  return fs.lstat(path).then(
    () => true,
    () => false,
  );
}
