import { promises as fs } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ByteSink } from '../bytes.ts';
import { pathKind, writeAll } from '../disk.ts';
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
  remove(name: string): Promise<void>;
  /** Removes the folder with all that is in it. */
  close(): Promise<void>;
}

/** Makes one in `base`, or in the system's temporary folder. Throws `NotFoundError` where there is no such folder. */
export async function openScratch(base?: string): Promise<Scratch> {
  if (base !== undefined && (await pathKind(base)) !== 'folder')
    throw notFound(base, 'Make the folder for temporary files, or name another with --tmp-dir.');
  const folder = await makeTemporaryFolder(base && resolve(base));
  return {
    path: folder.path,
    create: (name) => createScratchFile(join(folder.path, name)),
    remove: (name) => remove(join(folder.path, name)),
    close: () => folder.remove(),
  };
}

/** Starts a file of a scratch folder. Throws as `Scratch.create` does. */
export async function createScratchFile(path: string): Promise<ByteSink> {
  const handle = await fs.open(path, 'w').catch(rethrow('write', path));
  const close = () => handle.close().catch(rethrow('write', path));
  return {
    name: path,
    write: (bytes, offset) => writeAll(handle, path, bytes, offset),
    close,
    async discard() {
      await close();
      await remove(path);
    },
  };
}
