import { constants, promises as fs } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { ByteSink, ByteSource } from './bytes.ts';
import { DirectWrites } from './direct-writes.ts';
import {
  beingWritten,
  endsTooSoon,
  folderInsteadOfFile,
  isAbsent,
  notPlain,
  rethrow,
  tooLarge,
} from './disk-errors.ts';
import { removeEmptyFolders } from './empty-folders.ts';
import { makeMissing } from './make-missing.ts';
import { rememberOpened } from './opened-files.ts';
import { remove, rename } from './patient.ts';
import { openRemote, remoteFile, remoteNames } from './remote-files.ts';
import { holdLock } from './stages/folder-lock.ts';
import { claimStage, disown, isStage, LOCK, lockOf } from './stages/owner.ts';
import { removeWhole, settle } from './stages/staging.ts';
import { countRead, countWritten } from './traffic.ts';

/**
 * With those that it builds on (`stages/`, `direct-writes.ts` and few others) all that touches the disk. What is written
 * appears under its name only when it is complete and on the disk: it grows in a stage beside it, which is renamed at the end.
 */

/** Opens a file for reads at any offset. Throws `NotFoundError`, or `RequestError` for a folder or a forbidden file. */
export async function openFile(path: string): Promise<ByteSource> {
  const elsewhere = openRemote(path);
  if (elsewhere) return elsewhere;
  const handle = await fs.open(path, readAtOnce).catch(rethrow('read', path));
  const found = await handle.stat();
  if (!found.isFile()) {
    await handle.close();
    throw found.isDirectory()
      ? folderInsteadOfFile(path)
      : notPlain(path, found.isFIFO() ? 'pipe' : 'device');
  }
  const forget = rememberOpened(path, found);
  return {
    name: path,
    size: found.size,
    async read(into, offset) {
      for (let filled = 0; filled < into.length; ) {
        const { bytesRead } = await handle
          .read(into, filled, Math.min(into.length - filled, MOST_AT_ONCE), offset + filled)
          .catch(rethrow('read', path));
        if (bytesRead === 0) throw endsTooSoon(path, found.size, offset + into.length);
        filled += bytesRead;
        countRead(bytesRead);
      }
    },
    close() {
      forget();
      return handle.close();
    },
  };
}

/** Bytes: Node refuses to write 2 GiB at once, and ends where it is to read them. */
const MOST_AT_ONCE = 2 ** 30;

/** Opening a pipe would otherwise wait for somebody to write into it; Windows has no such flag. */
const readAtOnce = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Starts a file that appears under `path` when it is closed, replacing what was there; missing parent folders are made.
 * Throws `DiskSpaceError` when the disk is full, `RequestError` where writing is forbidden or a folder is in the way.
 */
export async function createFile(path: string): Promise<ByteSink> {
  if ((await pathKind(path)) === 'folder') throw folderInsteadOfFile(path);
  await makeFolder(dirname(path));
  await settle(dirname(path));
  const growing = claimStage(path);
  const handle = await fs.open(growing, EXCLUSIVE).catch(rethrow('write', path));
  const direct = new DirectWrites(growing);
  let isOpen = true;
  let isThere = true;
  const end = async (): Promise<void> => {
    if (isOpen) await Promise.all([handle.close(), direct.close()]);
    isOpen = false;
  };
  return {
    name: path,
    async write(bytes, offset) {
      const written = await direct.write(bytes, offset).catch(rethrow('write', path));
      await writeAll(handle, path, bytes.subarray(written), offset + written);
      countWritten(bytes.length);
    },
    async close() {
      await handle.datasync().catch(rethrow('write', path));
      await end().catch(rethrow('write', path));
      await rename(growing, path).catch(rethrow('write', path));
      isThere = false;
      disown(growing);
    },
    async discard() {
      if (!isThere) return;
      isThere = false;
      await end();
      await remove(growing);
      disown(growing);
    },
  };
}

/** Writes a file with what `fill` puts into it; what `fill` throws leaves nothing behind. Throws as `createFile` does. */
export async function writeFile(path: string, fill: (sink: ByteSink) => Promise<void>): Promise<void> {
  const sink = await createFile(path);
  try {
    await fill(sink);
    await sink.close();
  } catch (error) {
    await sink.discard();
    throw error;
  }
}

/** Makes a file of a name that nothing has yet, not even a link. */
const EXCLUSIVE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);

const LARGEST_TEXT = 64 * 2 ** 20; // a vocabulary is the largest that is read: a larger file is another one

/** The whole of a small UTF-8 file. Throws as `openFile` does, and `FileFormatError` for one of more than `most` bytes. */
export async function readText(path: string, most = LARGEST_TEXT): Promise<string> {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(await readBytes(path, most));
}

/** The whole of a file. Throws as `openFile` does, and `FileFormatError` for one of more than `most` bytes. */
export async function readBytes(path: string, most = Number.POSITIVE_INFINITY) {
  const file = await openFile(path);
  try {
    if (file.size > most) throw tooLarge(path, file.size, most);
    const bytes = new Uint8Array(file.size);
    await file.read(bytes, 0);
    return bytes;
  } finally {
    await file.close();
  }
}

/** Writes a small UTF-8 file; it appears complete or not at all. Throws as `createFile` does. */
export async function writeText(path: string, text: string): Promise<void> {
  await writeFile(path, (sink) => sink.write(new TextEncoder().encode(text), 0));
}

/** Copies one file; the copy appears complete or not at all. Throws as `openFile` and `createFile` do. */
export async function copyFile(from: string, to: string): Promise<void> {
  await (await openFile(from)).close(); // the system would wait for a pipe, and copy a device without end
  await replaceFile(to, (growing) =>
    fs.copyFile(from, growing, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL),
  );
}

/** Gives a file (not a link to it) a second name, or copies it where the disk has no links. Throws as `copyFile` does. */
export async function linkFile(from: string, to: string): Promise<void> {
  await makeFolder(dirname(to));
  const file = await realPath(from);
  await fs.link(file, to).catch(() => copyFile(file, to));
}

/**
 * Links `path` to a file, replacing an existing entry; the link is relative, so that a folder with both can be moved; or
 * gives the file a second name where links are not allowed. Throws as `copyFile` does.
 */
export async function pointTo(target: string, path: string): Promise<void> {
  await putInPlace(path, (growing) =>
    fs.symlink(relative(dirname(path), target), growing).catch(() => linkFile(target, growing)),
  );
}

/** Bytes of a file, and when it was last changed (milliseconds since 1970); `undefined` when there is none. */
export async function lookAtFile(path: string): Promise<{ size: number; changed: number } | undefined> {
  const elsewhere = remoteFile(path);
  if (elsewhere) return { size: elsewhere.size, changed: 0 };
  try {
    const found = await fs.stat(path);
    return found.isFile() ? { size: found.size, changed: found.mtimeMs } : undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    return rethrow('read', path)(error);
  }
}

/** Whether a path leads to a file or a folder (through links), or to nothing: `undefined`. */
export async function pathKind(path: string): Promise<'file' | 'folder' | undefined> {
  if (remoteFile(path)) return 'file';
  if (remoteNames(path).length > 0) return 'folder';
  try {
    return (await fs.stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    // A run that was killed may have left it ready, beside its name.
    if (isAbsent(error)) return (await settle(dirname(path))) ? pathKind(path) : undefined;
    return rethrow('read', path)(error);
  }
}

/** Whether a path leads to a file or folder. */
export async function exists(path: string): Promise<boolean> {
  return (await pathKind(path)) !== undefined;
}

/** A path without links on its way. Throws `NotFoundError`. */
export async function realPath(path: string): Promise<string> {
  return fs.realpath(path).catch(rethrow('read', path));
}

/**
 * The names in a folder, sorted, so that every run sees the same order; unfinished entries are left out. Throws
 * `NotFoundError`.
 */
export async function listFolder(path: string): Promise<readonly string[]> {
  await settle(path);
  const elsewhere = remoteNames(path);
  const names = await fs.readdir(path).catch((error: unknown) => {
    if (elsewhere.length > 0 && isAbsent(error)) return [];
    return rethrow('read', path)(error);
  });
  return [...new Set([...names.filter((name) => !isStage(name)), ...elsewhere])].sort();
}

/** Makes a folder and its parents; one that exists is left as it is. */
export async function makeFolder(path: string): Promise<void> {
  await makeMissing(resolve(path)).catch(rethrow('write', path));
}

/** Makes a folder and its parents; what it gives removes those that it made, as far as they are empty. Throws what the system throws. */
export async function makeFolders(path: string): Promise<() => Promise<void>> {
  const firstMade = await makeMissing(resolve(path));
  return async () => (firstMade === undefined ? undefined : removeEmptyFolders(path, firstMade));
}

/** Gives a file or folder another name on the same disk. */
export async function movePath(from: string, to: string): Promise<void> {
  await rename(from, to).catch(rethrow('write', to));
}

/** Removes a file, or a folder with all that is in it, which is there whole until it is gone; nothing there is fine. */
export async function removePath(path: string): Promise<void> {
  const found = await fs.lstat(path).catch(() => undefined);
  if (found?.isDirectory()) await removeWhole(path).catch(rethrow('write', path));
  else await remove(path).catch(rethrow('write', path));
}

/**
 * Keeps everybody else from writing into a folder, which is made where it is missing, until it is closed; one that is
 * empty then goes again. Throws `OutputBusyError` naming who writes into it already.
 */
export async function lockOutput(folder: string): Promise<{ close(): Promise<void> }> {
  return lockPlace(folder, folder, LOCK);
}

async function lockPlace(written: string, folder: string, name: string): Promise<{ close(): Promise<void> }> {
  const removeMade = await makeFolders(folder).catch(rethrow('write', folder));
  const lock = await holdLock(join(folder, name)).catch(async (error: unknown) => {
    await removeMade();
    return rethrow('write', folder)(error);
  });
  if ('heldBy' in lock) throw beingWritten(written, lock.heldBy);
  return {
    async close() {
      await lock.release();
      await removeMade();
    },
  };
}

/** Does work that writes into a folder while nobody else does so. Throws as `lockOutput`, and what the work throws. */
export async function whileLocked<T>(folder: string, work: () => Promise<T>): Promise<T> {
  return closing(await lockOutput(folder), work);
}

/** Does work that writes one entry of a folder while nobody else does so. Throws as `lockOutput`, and what the work throws. */
export async function whileNameLocked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const full = resolve(path);
  return closing(await lockPlace(path, dirname(full), lockOf(basename(full))), work);
}

async function closing<T>(lock: { close(): Promise<void> }, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await lock.close();
  }
}

/** Bytes that can still be written where `path` is or will be. */
export async function freeBytes(path: string): Promise<number> {
  const absolute = resolve(path);
  const parent = dirname(absolute);
  if (parent !== absolute && !(await exists(absolute))) return freeBytes(parent);
  const disk = await fs.statfs(absolute).catch(rethrow('read', path));
  return disk.bavail * disk.bsize;
}

/** Writes all of a block. Throws as `createFile` does. */
export async function writeAll(
  handle: fs.FileHandle,
  path: string,
  bytes: Uint8Array,
  offset: number,
): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle
      .write(bytes, written, Math.min(bytes.length - written, MOST_AT_ONCE), offset + written)
      .catch(rethrow('write', path));
    written += bytesWritten;
  }
}

async function replaceFile(path: string, fill: (growing: string) => Promise<void>): Promise<void> {
  if ((await pathKind(path)) === 'folder') throw folderInsteadOfFile(path);
  await putInPlace(path, async (growing) => {
    await fill(growing);
    await sync(growing);
  });
}

/** Makes a file or a link under a temporary name, which is renamed; or removed where that fails. */
async function putInPlace(path: string, make: (growing: string) => Promise<void>): Promise<void> {
  await makeFolder(dirname(path));
  const growing = claimStage(path);
  try {
    await make(growing);
    await rename(growing, path);
  } catch (error) {
    await remove(growing);
    rethrow('write', path)(error);
  } finally {
    disown(growing);
  }
}

/** Waits until a file is on the disk; Windows does so only for one that may be written. */
async function sync(path: string): Promise<void> {
  const handle = await fs.open(path, process.platform === 'win32' ? 'r+' : 'r');
  await handle.datasync().finally(() => handle.close());
}
