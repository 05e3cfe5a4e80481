import { join, resolve, sep } from 'node:path';
import type { ByteSource } from './bytes.ts';
import { endsTooSoon } from './disk-errors.ts';
import { forgetOpened } from './opened-files.ts';

/**
 * Files that lie elsewhere, to be read by a path as if they were on this disk: a dry run opens a checkpoint of the Hub in
 * this way, by the headers of its files. Nothing of them is stored.
 */

/** A file that lies elsewhere. */
export interface RemoteFile {
  readonly size: number;
  /** SHA-256 of its bytes, in hexadecimal, where it is known without reading them. */
  readonly sha256: string | undefined;
  /** Fills `into` from `offset`. Throws what reading throws. */
  read(into: Uint8Array, offset: number): Promise<void>;
}

const shown = new Map<string, RemoteFile>();

/** Lets files be read by these paths, until it is closed. */
export function showRemoteFiles(files: ReadonlyMap<string, RemoteFile>): { close(): Promise<void> } {
  const places = [...files].map(([path, file]): [string, RemoteFile] => [resolve(path), file]);
  for (const [place, file] of places) shown.set(place, file);
  return {
    async close() {
      for (const [place, file] of places) if (shown.get(place) === file) shown.delete(place);
    },
  };
}

/** The file elsewhere that is read by a path, if there is one. */
export function remoteFile(path: string): RemoteFile | undefined {
  return shown.size === 0 ? undefined : shown.get(resolve(path));
}

/** The names in a folder of files that are read there, and of folders that hold some. */
export function remoteNames(folder: string): string[] {
  if (shown.size === 0) return [];
  const place = join(resolve(folder), sep);
  const below = [...shown.keys()].filter((path) => path.startsWith(place));
  return below.map((path) => path.slice(place.length).split(sep)[0] ?? '');
}

/** Opens a file that is shown; `undefined` for any other path. */
export function openRemote(path: string): ByteSource | undefined {
  const file = remoteFile(path);
  if (!file) return undefined;
  const { size, read } = file;
  forgetOpened(path); // a file on this disk that was called so is not it
  return {
    name: path,
    size,
    async read(into, offset) {
      if (offset + into.length > size) throw endsTooSoon(path, size, offset + into.length);
      await read(into, offset);
    },
    close: async () => {},
  };
}
