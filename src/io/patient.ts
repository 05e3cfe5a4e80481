import { promises as fs } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { noteOwnChange } from './opened-files.ts';
import { hasCode } from './stages/owner.ts';

/** Attempts; the waits between them grow by `STEP` milliseconds and add up to about three seconds. */
const ATTEMPTS = 11;
const STEP = 60;

/**
 * Renames an entry. On Windows a virus scanner or an indexer that reads it for a moment makes that fail; Node tries removing
 * again (`maxRetries`), but not renaming. Throws what the system throws, for failures that pass only after the last attempt.
 */
export async function rename(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await fs.rename(from, to);
      for (const path of [from, to]) noteOwnChange(path);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || !maySoonWork(error)) throw error;
      await setTimeout(attempt * STEP);
    }
  }
}

/** Renames an entry; `false` when it does not exist. */
export async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Removes a file, or a folder with all that is in it; nothing there is fine. */
export async function remove(path: string): Promise<void> {
  // Node tries again only where it removes recursively.
  await fs.rm(path, { recursive: true, force: true, maxRetries: 5 });
  noteOwnChange(path);
}

/** Elsewhere EPERM and EACCES mean what they say. */
function maySoonWork(error: unknown): boolean {
  const codes = process.platform === 'win32' ? ['EBUSY', 'EPERM', 'EACCES'] : ['EBUSY'];
  return codes.some((code) => hasCode(error, code));
}
