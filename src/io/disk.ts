import { constants, promises as fs } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { DiskSpaceError, FileFormatError, NotFoundError, RequestError, SdConvertError } from '../errors.ts';
import type { ByteSink, ByteSource } from './bytes.ts';

/**
 * The only file that touches the disk. What is written appears under its name only when it is complete: it grows in a
 * temporary sibling (`<name>.tmp-<process id>-<number>`) that is renamed at the end.
 */

/** Opens a file for reads at any offset. Throws `NotFoundError`, or `RequestError` for a folder or a forbidden file. */
export async function openFile(path: string): Promise<ByteSource> {
  const handle = await fs.open(path, readAtOnce).catch(rethrow('read', path));
  const found = await handle.stat();
  if (found.isDirectory() || found.isFIFO()) {
    await handle.close();
    throw found.isFIFO() ? pipeInsteadOfFile(path) : folderInsteadOfFile(path);
  }
  return {
    name: path,
    size: found.size,
    async read(into, offset) {
      for (let filled = 0; filled < into.length; ) {
        const { bytesRead } = await handle
          .read(into, filled, into.length - filled, offset + filled)
          .catch(rethrow('read', path));
        if (bytesRead === 0) throw endsTooSoon(path, found.size, offset + into.length);
        filled += bytesRead;
      }
    },
    close: () => handle.close(),
  };
}

/** Opening a pipe would otherwise wait for somebody to write into it; Windows has no such flag. */
const readAtOnce = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Starts a file that appears under `path` when it is closed, replacing what was there; missing parent folders are made.
 * Throws `DiskSpaceError` when the disk is full, `RequestError` where writing is forbidden or a folder is in the way.
 */
export async function createFile(path: string): Promise<ByteSink> {
  if ((await pathKind(path)) === 'folder') throw folderInsteadOfFile(path);
  await makeFolder(dirname(path));
  const growing = temporarySibling(path);
  const handle = await fs.open(growing, 'w').catch(rethrow('write', path));
  let isOpen = true;
  return {
    name: path,
    write: (bytes, offset) => writeAll(handle, path, bytes, offset),
    async close() {
      isOpen = false;
      await handle.close().catch(rethrow('write', path));
      await fs.rename(growing, path).catch(rethrow('write', path));
    },
    async discard() {
      if (!isOpen) return;
      isOpen = false;
      await handle.close();
      await fs.rm(growing, { force: true });
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

/** The whole of a small UTF-8 file. Throws as `openFile` does. */
export async function readText(path: string): Promise<string> {
  return fs.readFile(path, 'utf8').catch(rethrow('read', path));
}

/** Writes a small UTF-8 file; it appears complete or not at all. Throws as `createFile` does. */
export async function writeText(path: string, text: string): Promise<void> {
  await replaceFile(path, (growing) => fs.writeFile(growing, text));
}

/** Copies one file; the copy appears complete or not at all. Throws as `openFile` and `createFile` do. */
export async function copyFile(from: string, to: string): Promise<void> {
  const kind = await pathKind(from);
  if (kind === undefined) throw notFound(from);
  if (kind === 'folder') throw folderInsteadOfFile(from);
  await replaceFile(to, (growing) => fs.copyFile(from, growing, constants.COPYFILE_FICLONE));
}

/** Gives a file (not a link to it) a second name, or copies it where the disk has no links. Throws as `copyFile` does. */
export async function linkFile(from: string, to: string): Promise<void> {
  await makeFolder(dirname(to));
  const file = await fs.realpath(from).catch(rethrow('read', from));
  await fs.link(file, to).catch(() => copyFile(file, to));
}

/**
 * Lets `path`, replacing what was there, lead to a file by a relative link, so that a folder with both can be moved; or
 * gives the file a second name where links are not allowed. Throws as `copyFile` does.
 */
export async function pointTo(target: string, path: string): Promise<void> {
  await makeFolder(dirname(path));
  const growing = temporarySibling(path);
  await fs.rm(growing, { force: true });
  await fs.symlink(relative(dirname(path), target), growing).catch(() => linkFile(target, growing));
  await fs.rename(growing, path).catch(rethrow('write', path));
}

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
  const handle = await fs.open(path, constants.O_WRONLY | constants.O_CREAT).catch(rethrow('write', path));
  return {
    size: (await handle.stat()).size,
    write: (bytes, offset) => writeAll(handle, path, bytes, offset),
    close: () => handle.close(),
  };
}

/** Makes a small file unless there is one: `false` when there is. Of several callers at once only one gets `true`. */
export async function createOnce(path: string, text: string): Promise<boolean> {
  await makeFolder(dirname(path));
  try {
    await fs.writeFile(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    return rethrow('write', path)(error);
  }
}

/** Marks a file as changed now; a file that is gone is fine. */
export async function touchFile(path: string): Promise<void> {
  const now = new Date();
  await fs.utimes(path, now, now).catch(() => {});
}

/** Bytes of a file, and when it was last changed (milliseconds since 1970); `undefined` when there is none. */
export async function lookAtFile(path: string): Promise<{ size: number; changed: number } | undefined> {
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
  try {
    return (await fs.stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if (isAbsent(error)) return undefined;
    return rethrow('read', path)(error);
  }
}

/** Whether a path leads to a file or folder. */
export async function exists(path: string): Promise<boolean> {
  return (await pathKind(path)) !== undefined;
}

/** The names in a folder, sorted, so that every run sees the same order. Throws `NotFoundError`. */
export async function listFolder(path: string): Promise<readonly string[]> {
  return (await fs.readdir(path).catch(rethrow('read', path))).sort();
}

/** Makes a folder and its parents; one that exists is left as it is. */
export async function makeFolder(path: string): Promise<void> {
  await fs.mkdir(path, { recursive: true }).catch(rethrow('write', path));
}

/**
 * Starts a folder under another name for `fill` to write into; it appears under `path`, in the place of a folder that
 * was there, when it is complete. What `fill` throws leaves nothing behind. Throws as `createFile` does.
 */
export async function createFolder(path: string, fill: (growing: string) => Promise<void>): Promise<void> {
  if ((await pathKind(path)) === 'file') throw fileInsteadOfFolder(path);
  const growing = temporarySibling(path);
  const firstMade = await fs.mkdir(growing, { recursive: true }).catch(rethrow('write', path));
  try {
    await fill(growing);
    await replaceFolder(growing, path);
  } catch (error) {
    await removePath(growing);
    await removeEmptyFolders(dirname(growing), firstMade);
    throw error;
  }
}

/** Puts a folder in the place of another, which comes back when that fails. */
async function replaceFolder(growing: string, path: string): Promise<void> {
  const replaced = `${growing}-replaced`;
  const isThere = await exists(path);
  if (isThere) await fs.rename(path, replaced).catch(rethrow('write', path));
  try {
    await fs.rename(growing, path);
  } catch (error) {
    if (isThere) await fs.rename(replaced, path);
    rethrow('write', path)(error);
  }
  await removePath(replaced);
}

/** Removes folders that were made on the way to one that does not come, up to the first that was made. */
async function removeEmptyFolders(folder: string, firstMade: string | undefined): Promise<void> {
  if (firstMade === undefined) return;
  for (let each = resolve(folder); each.startsWith(resolve(firstMade)); each = dirname(each)) {
    // One that is not empty is somebody's.
    if (
      !(await fs.rmdir(each).then(
        () => true,
        () => false,
      ))
    )
      return;
  }
}

/** Gives a file or folder another name on the same disk. */
export async function movePath(from: string, to: string): Promise<void> {
  await fs.rename(from, to).catch(rethrow('write', to));
}

/** Removes a file, or a folder with all that is in it; nothing there is fine. */
export async function removePath(path: string): Promise<void> {
  await fs.rm(path, { recursive: true, force: true }).catch(rethrow('write', path));
}

/** Bytes that can still be written where `path` is or will be. */
export async function freeBytes(path: string): Promise<number> {
  const absolute = resolve(path);
  if (!(await exists(absolute))) return freeBytes(dirname(absolute));
  const disk = await fs.statfs(absolute).catch(rethrow('read', path));
  return disk.bavail * disk.bsize;
}

async function writeAll(
  handle: fs.FileHandle,
  path: string,
  bytes: Uint8Array,
  offset: number,
): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle
      .write(bytes, written, bytes.length - written, offset + written)
      .catch(rethrow('write', path));
    written += bytesWritten;
  }
}

async function replaceFile(path: string, fill: (growing: string) => Promise<void>): Promise<void> {
  if ((await pathKind(path)) === 'folder') throw folderInsteadOfFile(path);
  await makeFolder(dirname(path));
  const growing = temporarySibling(path);
  try {
    await fill(growing);
    await fs.rename(growing, path);
  } catch (error) {
    await fs.rm(growing, { force: true });
    rethrow('write', path)(error);
  }
}

let siblings = 0;

/** A name of its own each time: parts of one process may write the same file at once. */
function temporarySibling(path: string): string {
  return `${path}.tmp-${process.pid}-${++siblings}`;
}

/** Turns what the operating system reports into an error that says what to do; for `.catch()`. */
function rethrow(action: 'read' | 'write', at: string): (error: unknown) => never {
  return (error) => {
    const path = at.replace(/\.tmp-\d+-\d+(?=[/\\]|$)/, ''); // as the user knows it
    const cause = { cause: error };
    switch (errorCode(error)) {
      case 'ENOTDIR':
        if (action === 'read') throw notFound(path, cause);
        throw new RequestError(
          { problem: `${path} cannot be written: what should be a folder on the way to it is a file.` },
          cause,
        );
      case 'ENOENT':
        throw notFound(path, cause);
      case 'EISDIR':
        throw folderInsteadOfFile(path, cause);
      case 'EEXIST':
        throw fileInsteadOfFolder(path, cause);
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
        throw new RequestError(
          {
            problem: `${path} cannot be ${action === 'read' ? 'read' : 'written'}: permission denied.`,
            advice: 'Change its permissions, or choose another place.',
          },
          cause,
        );
      case 'EFBIG':
        throw new DiskSpaceError(
          {
            problem: `${path} could not be written: so large a file is not allowed there.`,
            advice:
              'Choose a disk of another kind (FAT32 ends at 4 GB), lift the limit (ulimit -f), or cut the UNet with --chunk-unet.',
          },
          cause,
        );
      case 'ENOSPC':
      case 'EDQUOT':
        throw new DiskSpaceError(
          {
            problem: `The disk is full: ${path} could not be written.`,
            advice: 'Free some space, or choose another disk.',
          },
          cause,
        );
      default:
        throw new SdConvertError(
          {
            problem: `${path} could not be ${action === 'read' ? 'read' : 'written'}.`,
            details: { cause: String(error) },
          },
          cause,
        );
    }
  };
}

function isAbsent(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function notFound(path: string, options?: ErrorOptions): NotFoundError {
  return new NotFoundError(
    {
      problem: `${path} does not exist.`,
      details: { 'looked for': resolve(path) },
      advice: 'Check the spelling of the path.',
    },
    options,
  );
}

function folderInsteadOfFile(path: string, options?: ErrorOptions): RequestError {
  return new RequestError(
    { problem: `${path} is a folder, but a file is needed there.`, advice: 'Name the file itself.' },
    options,
  );
}

function pipeInsteadOfFile(path: string): RequestError {
  return new RequestError({
    problem: `${path} is a pipe, but a file is needed there: it is read at many places.`,
    advice: 'Write what comes out of the pipe to a file, and name that.',
  });
}

function fileInsteadOfFolder(path: string, options?: ErrorOptions): RequestError {
  return new RequestError({ problem: `${path} is a file, but a folder is needed there.` }, options);
}

function endsTooSoon(path: string, size: number, needed: number): FileFormatError {
  return new FileFormatError({
    problem: `${path} ends too soon.`,
    details: { expected: `at least ${needed} bytes`, found: `${size} bytes` },
    advice: 'It is damaged or still being written: download or copy it again.',
  });
}
