import type { WebFile } from '../../src/web/web-plan.ts';
import { KeptFile } from './kept-file.ts';
import { roomFor } from './room-for.ts';

/** How a download is followed and stopped. */
export interface Following {
  readonly onBytes: (count: number) => void;
  readonly onNote: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A file that does not come through, in one sentence. */
class FileError extends Error {}

const FOLDER = 'sdconvert';

/** How often a connection that breaks is taken up again. */
const ATTEMPTS = 4;

/**
 * The page's files, kept in the browser's own file system (OPFS) under their SHA-256, so that a file is downloaded once,
 * whatever page it is of. A download that ends early goes on from where it was, also after the page was closed. Where the
 * browser keeps no files (private windows, plain HTTP), they stay in memory only, which is said once.
 */
export class WeightFiles {
  #folder: FileSystemDirectoryHandle | undefined;
  #hasNoted = false;

  private constructor(folder: FileSystemDirectoryHandle | undefined) {
    this.#folder = folder;
  }

  static async open(): Promise<WeightFiles> {
    try {
      const root = await navigator.storage.getDirectory();
      return new WeightFiles(await root.getDirectoryHandle(FOLDER, { create: true }));
    } catch {
      return new WeightFiles(undefined);
    }
  }

  /** The bytes of a file, with its hash checked. Throws `FileError`, and `AbortError` when it was stopped. */
  async read(file: WebFile, following: Following): Promise<Uint8Array<ArrayBuffer>> {
    const kept = await this.#kept(file);
    if (kept) {
      following.onBytes(kept.length);
      return kept;
    }
    const store = new KeptFile(await this.#open(file));
    const canKeep = store.isKept;
    try {
      const bytes = await download(file, store, following);
      if (store.isKept) await this.#folder?.getFileHandle(`${file.sha256}.ok`, { create: true });
      else this.#noteUnkept(canKeep ? 'has no room to keep models' : 'keeps no models', following);
      return bytes;
    } finally {
      store.close();
    }
  }

  /** Tells once why the models are not kept. */
  #noteUnkept(why: string, { onNote }: Following): void {
    if (!this.#hasNoted) onNote(`This browser ${why}: they are downloaded again each time.`);
    this.#hasNoted = true;
  }

  /** Removes all that is kept. */
  async forget(): Promise<void> {
    if (!this.#folder) return;
    const root = await navigator.storage.getDirectory();
    await root.removeEntry(FOLDER, { recursive: true });
    this.#folder = await root.getDirectoryHandle(FOLDER, { create: true });
  }

  /** A file that was downloaded and checked before. */
  async #kept({ sha256, byteLength }: WebFile): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      await this.#folder?.getFileHandle(`${sha256}.ok`);
      const file = await (await this.#folder?.getFileHandle(sha256))?.getFile();
      return file?.size === byteLength ? new Uint8Array(await file.arrayBuffer()) : undefined;
    } catch {
      return undefined;
    }
  }

  /** A file to write into; `undefined` where there is none, or where another tab has it. */
  async #open({ sha256 }: WebFile): Promise<FileSystemSyncAccessHandle | undefined> {
    try {
      return await (await this.#folder?.getFileHandle(sha256, { create: true }))?.createSyncAccessHandle();
    } catch {
      return undefined;
    }
  }
}

async function download(
  file: WebFile,
  store: KeptFile,
  following: Following,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = roomFor(file);
  let done = Math.min(store.byteLength, bytes.length);
  store.read(bytes.subarray(0, done));
  following.onBytes(done);
  for (let attempt = 1; done < bytes.length; attempt++) {
    try {
      done = await downloadFrom(done, { file, bytes, store, following });
      if (done < bytes.length && attempt === ATTEMPTS)
        throw new Error(`the answer ends after ${done} of ${bytes.length} bytes`);
    } catch (error) {
      if (error instanceof FileError || following.signal.aborted || attempt === ATTEMPTS)
        throw told(file, error);
      done = Math.min(store.byteLength, bytes.length);
      await new Promise((resolve) => setTimeout(resolve, 500 * attempt));
    }
  }
  if (await hasHash(bytes, file.sha256)) return bytes;
  store.clear();
  throw new FileError(
    `${file.path} is damaged, or has changed since the page was made: load the page again.`,
  );
}

interface Downloading {
  readonly file: WebFile;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly store: KeptFile;
  readonly following: Following;
}

/** Downloads from an offset to the end, or from 0 where the server knows no ranges; returns where it got to. */
async function downloadFrom(offset: number, { file, bytes, store, following }: Downloading): Promise<number> {
  const { signal, onBytes } = following;
  const headers: HeadersInit = offset > 0 ? { Range: `bytes=${offset}-` } : {};
  // A name of another tool's file may have what an address reads as something else.
  const address = file.path.split('/').map(encodeURIComponent).join('/');
  const response = await fetch(address, { signal, headers });
  if (!response.ok || !response.body)
    throw new FileError(`${file.path} cannot be downloaded: the server answers ${response.status}.`);
  let done = response.status === 206 ? offset : 0;
  onBytes(done - offset);
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (done + part.value.length > bytes.length)
      throw new FileError(`${file.path} is larger than when the page was made: load the page again.`);
    bytes.set(part.value, done);
    store.write(part.value, done);
    done += part.value.length;
    onBytes(part.value.length);
  }
  store.flush();
  return done;
}

function told({ path }: WebFile, error: unknown): unknown {
  if (error instanceof FileError || (error instanceof DOMException && error.name === 'AbortError'))
    return error;
  const found = error instanceof Error ? error.message : String(error);
  return new FileError(
    `${path} cannot be downloaded (${found}): check the connection, and draw again to go on.`,
  );
}

/** Browsers hash only for pages from this machine or over HTTPS; elsewhere nothing can be checked. */
async function hasHash(bytes: Uint8Array<ArrayBuffer>, expected: string): Promise<boolean> {
  if (!globalThis.isSecureContext) return true;
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('') === expected;
}
