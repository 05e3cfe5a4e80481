import { promises as fs, type Stats } from 'node:fs';

interface Opened {
  /** Of the first of the handles that are open, or were last. */
  readonly identity: string;
  handles: number;
}

/** Files that this process has opened, as they were then: a path may lead to another file a moment later. */
const opened = new Map<string, Opened>();

/** Takes note of a file that was opened; the result is called when it is closed. */
export function rememberOpened(path: string, found: Stats): () => void {
  const known = opened.get(path);
  const entry = known && known.handles > 0 ? known : { identity: identityOf(found), handles: 0 };
  opened.set(path, entry);
  entry.handles++;
  let isOpen = true;
  return () => {
    if (isOpen) entry.handles--;
    isOpen = false;
  };
}

/** Forgets a path that leads elsewhere from now on. */
export function forgetOpened(path: string): void {
  opened.delete(path);
}

/** Whether a path leads to another file than the one that was opened by it, or that file has been changed since. */
export async function isReplaced(path: string): Promise<boolean> {
  const before = opened.get(path);
  if (before === undefined) return false;
  const now = await fs.stat(path).catch(() => undefined);
  return now === undefined || identityOf(now) !== before.identity;
}

/** A text that changes with whatever a path leads to, and with its bytes; `undefined` where that is nothing. */
export async function identityOfFile(path: string): Promise<string | undefined> {
  const found = await fs.stat(path).catch(() => undefined);
  // Other bytes may be given the old time of change, but nobody sets the time of the entry.
  return found && `${identityOf(found)} ${found.ctimeMs}`;
}

/**
 * When a file or folder was last changed, moved to its place or given another name (milliseconds since 1970); 0 for nothing. Dates of
 * change are kept by copies and may be set, but not those of the entry.
 */
export async function touchedAt(path: string): Promise<number> {
  const [found, entry] = await Promise.all(
    [fs.stat, fs.lstat].map((look) => look(path).catch(() => undefined)),
  );
  return Math.max(0, ...[found, entry].flatMap((each) => (each ? [each.mtimeMs, each.ctimeMs] : [])));
}

function identityOf({ dev, ino, size, mtimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs].join(' ');
}
