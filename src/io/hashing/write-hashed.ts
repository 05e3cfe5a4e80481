import { createHash } from 'node:crypto';
import { BLOCK_BYTES, type ByteSink } from '../bytes.ts';
import { createFile } from '../disk.ts';
import { BlockHasher } from './block-hasher.ts';

/** Size in bytes and SHA-256 (hexadecimal) of a file. */
export interface Hashed {
  readonly byteLength: number;
  readonly sha256: string;
}

/** Appends bytes at an offset that is not before the end, and copies them; skipped ranges are zeros. */
export type WriteForward = (bytes: Uint8Array, offset: number) => Promise<void>;

/** Writes a file from beginning to end, hashing on the way. Throws as `createFile` does; what `fill` throws leaves nothing behind. */
export async function writeHashed(
  path: string,
  fill: (write: WriteForward) => Promise<void>,
): Promise<Hashed> {
  const file = await HashedFile.create(path);
  try {
    await fill((bytes, offset) => file.write(bytes, offset));
    return await file.close();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/**
 * A file that is written from beginning to end and appears when it is closed. Bytes are collected in blocks; a full block is written,
 * and hashed in another thread, while the next one is filled.
 */
export class HashedFile {
  readonly #sink: ByteSink;
  readonly #hasher = BlockHasher.borrow();
  /** Pending writes and hashes, by the index of their block. */
  readonly #works: (Promise<unknown> | undefined)[] = [];
  /** Offset of the current block in the file, and how far the block is filled. */
  #begin = 0;
  #filled = 0;
  #isOpen = true;

  private constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Throws as `createFile` does. */
  static async create(path: string): Promise<HashedFile> {
    return new HashedFile(await createFile(path));
  }

  /** Appends bytes at an offset that is not before the end; zeros fill the gap. Throws also what writing earlier bytes threw. */
  async write(bytes: Uint8Array, offset: number): Promise<void> {
    const gap = offset - this.#begin - this.#filled;
    if (gap < 0) throw new Error(`${this.#sink.name} is written backwards`);
    for (let left = gap; left > 0; ) left -= await this.#fill((room) => room.fill(0), left);
    // Of Buffer, which copies into shared memory as fast as into any; `set` takes three times as long there.
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < source.length; )
      at += await this.#fill((room) => source.copy(room, 0, at), source.length - at);
  }

  /** Makes the file appear. Throws as `createFile` does; the file must then be discarded. */
  async close(): Promise<Hashed> {
    const last = this.#block.subarray(0, this.#filled);
    const byteLength = this.#begin + this.#filled;
    let sha256: string;
    if (this.#begin === 0) {
      await this.#sink.write(last, 0);
      sha256 = createHash('sha256').update(last).digest('hex');
    } else {
      await Promise.all([...this.#works, this.#sink.write(last, this.#begin), this.#hasher.update(last)]);
      sha256 = await this.#hasher.digest();
    }
    await this.#sink.close();
    this.#end();
    return { byteLength, sha256 };
  }

  /** Removes the unfinished file and frees the hasher. */
  async discard(): Promise<void> {
    if (!this.#isOpen) return;
    await Promise.allSettled(this.#works);
    await this.#hasher.reset().catch(() => {});
    this.#end();
    await this.#sink.discard();
  }

  #end(): void {
    this.#isOpen = false;
    this.#hasher.return();
  }

  /** Lets `put` fill the next bytes of the current block; returns their count. */
  async #fill(put: (room: Uint8Array) => void, wanted: number): Promise<number> {
    const length = Math.min(wanted, BLOCK_BYTES - this.#filled);
    put(this.#block.subarray(this.#filled, this.#filled + length));
    this.#filled += length;
    if (this.#filled === BLOCK_BYTES) await this.#flush();
    return length;
  }

  get #index(): number {
    return (this.#begin / BLOCK_BYTES) % this.#hasher.blocks.length;
  }

  get #block(): Uint8Array {
    const block = this.#hasher.blocks[this.#index];
    if (!block) throw new Error('no block to write into');
    return block;
  }

  /** Starts writing and hashing the current block, and waits until the next block is free. */
  async #flush(): Promise<void> {
    const block = this.#block;
    const work = Promise.all([this.#sink.write(block, this.#begin), this.#hasher.update(block)]);
    // Awaited when the block is needed again; a failure before that must not count as unhandled.
    work.catch(() => {});
    this.#works[this.#index] = work;
    this.#begin += this.#filled;
    this.#filled = 0;
    await this.#works[this.#index];
  }
}
