import { promises as fs } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ByteSink } from '../bytes.ts';
import { pathKind, readBytes, writeAll } from '../disk.ts';
import { rethrow } from '../disk-errors.ts';
import { notFound } from '../not-found.ts';
import { remove } from '../patient.ts';
import { makeTemporaryFolder } from '../temporary-folder.ts';

/**
 * A folder of files that only this process reads, and that are gone in the end. They are written without the care that
 * results get: under their own names, and not synced.
 */
export interface Scratch {
  readonly path: string;
  /** Starts a file of any name, replacing one that is there. Throws `DiskSpaceError` when the disk is full. */
  create(name: string): Promise<ByteSink>;
  /** Reads a whole file. */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
  remove(name: string): Promise<void>;
  /** Removes the folder with all that is in it. */
  close(): Promise<void>;
}

/** Makes one in `base`, or in the system's temporary folder. Throws `NotFoundError` where there is no such folder. */
export async function openScratch(base?: string): Promise<Scratch> {
  if (base !== undefined && (await pathKind(base)) !== 'folder')
    throw notFound(base, 'Make the folder for temporary files, or name another with --tmp-dir.');
  const folder = await makeTemporaryFolder(base && resolve(base));
  const removeFile = (name: string) => remove(join(folder.path, name));
  return {
    path: folder.path,
    async create(name) {
      const path = join(folder.path, name);
      const handle = await fs.open(path, 'w').catch(rethrow('write', path));
      const close = () => handle.close().catch(rethrow('write', path));
      return {
        name: path,
        write: (bytes, offset) => writeAll(handle, path, bytes, offset),
        close,
        async discard() {
          await close();
          await removeFile(name);
        },
      };
    },
    read: (name) => readBytes(join(folder.path, name)),
    remove: removeFile,
    close: () => folder.remove(),
  };
}
