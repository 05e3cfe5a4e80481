import { promises as fs } from 'node:fs';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { remove } from '../patient.ts';
import { disown, hasCode, isAbandoned, own, owner, readPlain } from './owner.ts';
import { claimStage, renamed } from './staging.ts';

/**
 * Holds a lock, the path of a file that is there as long as it is held, until it is released; gives who holds it already
 * instead. A lock whose owner is gone is taken over.
 */
export async function holdLock(lock: string): Promise<{ release(): Promise<void> } | { heldBy: string }> {
  const text = JSON.stringify({ owner, host: hostname(), pid: process.pid });
  let unread = 0;
  for (;;) {
    try {
      await fs.writeFile(lock, text, { flag: 'wx' });
      break;
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    const found = await readPlain(lock);
    if (found === undefined) {
      // Released meanwhile, or released and taken by another again and again.
      if (!(await isThere(lock)) || ++unread < ATTEMPTS) continue;
      return { heldBy: `its ${basename(lock)} cannot be read` };
    }
    const holder = readHolder(found);
    if (!(await isAbandoned(lock, holder.owner)))
      return { heldBy: `process ${holder.pid} on ${holder.host}` };
    // Of several that find it abandoned one takes it away; who took a younger one gives it back.
    const taken = claimStage(lock);
    if ((await renamed(lock, taken)) && (await readPlain(taken)) !== found)
      await fs.link(taken, lock).catch(() => {});
    await remove(taken);
    disown(taken);
  }
  own(lock, lock);
  return {
    async release() {
      disown(lock);
      await remove(lock);
    },
  };
}

/** Attempts to read a lock that is there. */
const ATTEMPTS = 10;

async function isThere(path: string): Promise<boolean> {
  return fs.lstat(path).then(
    () => true,
    () => false,
  );
}

function readHolder(text: string): { owner: string; host: string; pid: string } {
  try {
    const { owner, host, pid } = JSON.parse(text);
    return { owner: String(owner), host: String(host), pid: String(pid) };
  } catch {
    return { owner: '', host: 'a machine that did not say which', pid: '' }; // just being written, or cut short
  }
}
