import { constants, promises as fs } from 'node:fs';
import { dirname } from 'node:path';
import { RequestError } from '../errors.ts';
import { makeFolder, writeAll } from './disk.ts';
import { isThereAlready, rethrow } from './disk-errors.ts';

/** Files that several processes work on: the cache of the Hub. */

/** A file under its own name that is written in steps, now and by later runs. */
export interface GrowingFile {
  /** Bytes that earlier runs left. */
  readonly size: number;
  write(bytes: Uint8Array, offset: number): Promise<void>;
  close(): Promise<void>;
}

/** Opens a file to go on writing it, or starts one. Throws as `createFile` does. */
export async function growFile(path: string): Promise<GrowingFile> {
  await makeFolder(dirname(path));
  const handle = await fs
    .open(path, constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0))
    .catch(rethrow('write', path));
  return {
    size: (await handle.stat()).size,
    write: (bytes, offset) => writeAll(handle, path, bytes, offset),
    close: () => handle.close(),
  };
}

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

/** Marks a file as changed now; a file that is gone is fine. */
export async function touchFile(path: string): Promise<void> {
  const now = new Date();
  await fs.utimes(path, now, now).catch(() => {});
}
