import fs from 'node:fs';

/** Calls of `fs.promises` that change the disk, besides `open`. */
export const changing = [
  ...['appendFile', 'chmod', 'chown', 'copyFile', 'cp', 'lchmod', 'lchown', 'link', 'mkdir', 'mkdtemp'],
  ...['mkdtempDisposable', 'rename', 'rm', 'rmdir', 'symlink', 'truncate', 'unlink', 'writeFile'],
] as const;

/** Those of its file handles. */
export const changingHandle = [
  ...['appendFile', 'chmod', 'chown', 'datasync', 'sync', 'truncate', 'write', 'writeFile', 'writev'],
] as const;

/**
 * Calls that are not counted: they change the time of an entry and nothing else, so whoever is killed before one leaves what
 * one who is killed before the next call leaves. Owners make them by a clock: counted, no two runs would have the same calls.
 */
export const touching = ['lutimes', 'utimes'] as const;

type Call = (...args: unknown[]) => Promise<unknown>;

const { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND } = fs.constants;

function isForReading(flags: number | string): boolean {
  if (typeof flags === 'string') return /^rs?$/.test(flags);
  return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)) === 0;
}

/**
 * Has `before` called, and awaited, before each call that changes the disk, and `during` with its promise; files that are opened go
 * to `onOpen`. The result ends that.
 */
export function beforeChanges(
  before: () => Promise<void> | undefined,
  onOpen: (handle: fs.promises.FileHandle) => void = () => {},
  during: (call: Promise<unknown>) => void = () => {},
): () => void {
  const disk = fs.promises as unknown as Record<string, Call>;
  const real = { ...disk };
  const guard = (object: Record<string, Call>, name: string): void => {
    const unguarded = object[name];
    if (!unguarded) return; // not in this Node, or not on this system
    object[name] = async function (this: unknown, ...args: unknown[]) {
      await before();
      const call = unguarded.apply(this, args);
      during(call);
      return call;
    };
  };
  for (const name of changing) guard(disk, name);
  const open = fs.promises.open.bind(fs.promises);
  disk.open = async (...args: unknown[]) => {
    const [path, flags = 'r', mode] = args as [string, number | string, number];
    const reads = isForReading(flags);
    if (!reads) await before();
    const opening = open(path, flags, mode);
    if (!reads) during(opening);
    const handle = await opening;
    onOpen(handle);
    if (reads) return handle;
    for (const name of changingHandle) guard(handle as unknown as Record<string, Call>, name);
    return handle;
  };
  return () => void Object.assign(disk, real);
}
