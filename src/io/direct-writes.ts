import { constants, promises as fs } from 'node:fs';
import { hasCode } from './stages/owner.ts';

/**
 * Writes that bypass the page cache (`O_DIRECT`, on Linux). Files are synced before they get their name, so a copy in the cache
 * has no use: making it takes ten times the CPU of the write itself, and evicts other data. File systems that do not support it
 * (some network and user-space ones) are written to as usual.
 */
export class DirectWrites {
  readonly #path: string;
  #handle: Promise<fs.FileHandle | undefined> | undefined;

  /** `path` must exist; the first write opens it. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Writes as many of the first bytes as can be written directly; returns their count. Throws what the system throws. */
  async write(bytes: Uint8Array, offset: number): Promise<number> {
    const length = directLength(bytes, offset);
    if (length === 0) return 0;
    this.#handle ??= openDirect(this.#path);
    const handle = await this.#handle;
    if (!handle) return 0;
    try {
      const { bytesWritten } = await handle.write(bytes, 0, length, offset);
      return bytesWritten;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return 0;
    }
  }

  async close(): Promise<void> {
    await (await this.#handle)?.close();
  }
}

/** Allocates blocks of shared memory that can be written directly: they begin on pages. */
export function pageBlocks(count: number, byteLength: number): Uint8Array<SharedArrayBuffer>[] {
  // The only memory in JavaScript whose address is known to be a multiple of a page.
  const pages = (count * byteLength) / WEBASSEMBLY_PAGE;
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  if (!(buffer instanceof SharedArrayBuffer)) throw new Error('memory that was to be shared is not');
  pageBuffers.add(buffer);
  return Array.from({ length: count }, (_, at) => new Uint8Array(buffer, at * byteLength, byteLength));
}

/** Missing in Node's types. */
declare const WebAssembly: {
  readonly Memory: new (size: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: boolean;
  }) => { readonly buffer: ArrayBufferLike };
};

const WEBASSEMBLY_PAGE = 2 ** 16;
const pageBuffers = new WeakSet<ArrayBufferLike>();

/** Disks need 512 or 4096. */
const ALIGNMENT = 4096;

function directLength({ buffer, byteOffset, length }: Uint8Array, offset: number): number {
  const isAligned = pageBuffers.has(buffer) && byteOffset % ALIGNMENT === 0 && offset % ALIGNMENT === 0;
  return isAligned ? length - (length % ALIGNMENT) : 0;
}

async function openDirect(path: string): Promise<fs.FileHandle | undefined> {
  if (constants.O_DIRECT === undefined) return undefined;
  return fs.open(path, constants.O_WRONLY | constants.O_DIRECT | constants.O_NOFOLLOW).catch(() => undefined);
}

function isRefusal(error: unknown): boolean {
  return ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].some((code) => hasCode(error, code));
}
