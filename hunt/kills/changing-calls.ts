import fs from 'node:fs';

/** Calls of `fs.promises` that change the disk, and those of its file handles. */
const calls = [
  'mkdir',
  'writeFile',
  'rename',
  'rm',
  'rmdir',
  'unlink',
  'link',
  'symlink',
  'copyFile',
  'truncate',
];
const handleCalls = ['write', 'writeFile', 'datasync', 'sync', 'truncate'];

type Call = (...args: unknown[]) => Promise<unknown>;

/**
 * Has `before` called, and awaited, before each call that changes the disk, and `during` with its promise; files that are opened
 * for writing go to `onOpen`.
 */
export function beforeChanges(
  before: () => Promise<void> | undefined,
  onOpen: (handle: fs.promises.FileHandle) => void = () => {},
  during: (call: Promise<unknown>) => void = () => {},
): void {
  const disk = fs.promises as unknown as Record<string, Call>;
  const guard = (object: Record<string, Call>, name: string): void => {
    const real = object[name];
    object[name] = async function (this: unknown, ...args: unknown[]) {
      await before();
      const call = real?.apply(this, args) ?? Promise.resolve();
      during(call);
      return call;
    };
  };
  for (const name of calls) guard(disk, name);
  const open = fs.promises.open.bind(fs.promises);
  disk.open = async (...args: unknown[]) => {
    const [path, flags = 'r', mode] = args as [string, number | string, number];
    const isForReading = typeof flags === 'number' ? (flags & 3) === fs.constants.O_RDONLY : flags === 'r';
    if (!isForReading) await before();
    const opening = open(path, flags, mode);
    if (!isForReading) during(opening);
    const handle = await opening;
    if (isForReading) return handle;
    onOpen(handle);
    for (const name of handleCalls) guard(handle as unknown as Record<string, Call>, name);
    return handle;
  };
}
