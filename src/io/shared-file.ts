import { constants, promises as fs } from 'node:fs';
import { dirname } from 'node:path';
import { RequestError } from '../errors.ts';
import { makeFolder, writeAll } from './disk.ts';
import { isThereAlready, rethrow } from './disk-errors.ts';
import { remove } from './patient.ts';

/** Files that several processes work on: the cache of the Hub. */

/** A file under its own name that is written in steps, now and by later runs. */
export interface GrowingFile {
  /** Bytes that earlier runs left. */
  readonly size: number;
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Waits until all that was written is on the disk. Throws `DiskSpaceError`. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a file to go on writing it, or starts one: also in the place of what is no file of this name alone, such as a link,
 * a pipe, or a file with a second name, which is somebody's. Throws as `createFile` does.
 */
export async function growFile(path: string): Promise<GrowingFile> {
  await makeFolder(dirname(path));
  const found = await fs.lstat(path).catch(() => undefined);
  const isOwn = found?.isFile() && found.nlink === 1;
  if (found && !isOwn && !found.isDirectory()) await remove(path).catch(rethrow('write', path));
  const handle = await fs.open(path, growing).catch(rethrow('write', path));
  return {
    size: (await handle.stat()).size,
    write: (bytes, offset) => writeAll(handle, path, bytes, offset),
    sync: () => handle.datasync().catch(rethrow('write', path)),
    close: () => handle.close(),
  };
}

/** What has the name by now is not followed, nor waited for. */
const growing =
  constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Makes a small file unless there is one: `false` when there is. Of several callers at once only one gets `true`. Throws
 * `RequestError` where a folder, a link or a device has its name: nobody will ever remove it.
 */
export async function createOnce(path: string, text: string): Promise<boolean> {
  await makeFolder(dirname(path));
  try {
    await fs.writeFile(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (!isThereAlready(error)) return rethrow('write', path)(error);
    const found = await fs.lstat(path).catch(() => undefined);
    if (found && !found.isFile()) throw noLock(path);
    return false;
  }
}

function noLock(path: string): RequestError {
  return new RequestError({
    problem: `${path} is no file, but a download keeps others off by a file of this name.`,
    advice: 'Remove it.',
  });
}

/** Marks a file as changed now, or then; a file that is gone is fine. */
export async function touchFile(path: string, date = new Date()): Promise<void> {
  await fs.utimes(path, date, date).catch(() => {});
}
