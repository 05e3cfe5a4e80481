import { promises as fs } from 'node:fs';
import { hostname } from 'node:os';
import { basename, resolve } from 'node:path';
import { remove } from '../patient.ts';
import { holderOf } from './abandoned-lock.ts';
import { claimStage, disown, hasCode, own, owner, readPlain } from './owner.ts';

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
    if (holder) return { heldBy: `process ${holder.pid} on ${holder.host}` };
  }
  const full = resolve(lock); // as who looks through its folder sees it
  own(full, lock);
  return {
    async release() {
      disown(full);
      await remove(lock);
    },
  };
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
