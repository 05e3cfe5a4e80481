import { promises as fs, type Stats } from 'node:fs';
import { resolve } from 'node:path';
import { FileFormatError } from '../errors.ts';
import { isWithin } from './path-from.ts';

interface Opened {
  /** Of the first of the handles that are open, or were last. */
  readonly identity: string;
  handles: number;
}

/** Files that this process has opened, as they were then: a path may lead to another file a moment later. */
const opened = new Map<string, Opened>();

/** Takes note of a file that was opened; the result is called when it is closed. */
export function rememberOpened(path: string, found: Stats): () => void {
  for (const watch of watches) watch.add(path, identityOf(found));
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

/** Is told what this process itself replaces or removes, which is no news to it. */
export function noteOwnChange(path: string): void {
  for (const watch of watches) watch.forget(path);
}

/** A text that changes with whatever a path leads to, but not with the entry: with its names and rights; `undefined` where nothing is. */
export async function identityAt(path: string): Promise<string | undefined> {
  const found = await fs.stat(path).catch(() => undefined);
  return found && identityOf(found);
}

/**
 * Throws `FileFormatError` for a path that leads to another file than the one that was opened by it, or was there `before`, or where that file
 * was changed since. Gives what is there, as `identityAt`.
 */
export async function refuseReplaced(path: string, before?: string): Promise<string | undefined> {
  const now = await identityAt(path);
  for (const identity of [opened.get(path)?.identity, before])
    if (identity !== undefined && now !== identity) throw changedMeanwhile(path);
  return now;
}

function changedMeanwhile(path: string): FileFormatError {
  return new FileFormatError({
    problem: `${path} was replaced or changed while it was read.`,
    advice: 'Run this again when nothing writes to it any more.',
  });
}

/**
 * Files at or below some places that this process opens from now on, as they were when it first did. Those that it replaces or
 * removes itself are forgotten.
 */
export class OpenedFiles {
  readonly #places: readonly string[];
  readonly #identities = new Map<string, string>();

  constructor(places: readonly string[]) {
    this.#places = places.map((place) => resolve(place));
    watches.add(this);
  }

  /** Throws `FileFormatError` where one is another by now, or has changed. */
  async requireUnchanged(): Promise<void> {
    for (const [path, identity] of this.#identities)
      if ((await identityAt(path)) !== identity) throw changedMeanwhile(path);
  }

  add(path: string, identity: string): void {
    const full = resolve(path);
    const isWatched = this.#places.some((place) => isWithin(full, place));
    if (isWatched && !this.#identities.has(full)) this.#identities.set(full, identity);
  }

  forget(path: string): void {
    const full = resolve(path);
    for (const each of this.#identities.keys()) if (isWithin(each, full)) this.#identities.delete(each);
  }

  close(): void {
    watches.delete(this);
  }
}

const watches = new Set<OpenedFiles>();

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
