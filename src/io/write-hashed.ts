import { createHash } from 'node:crypto';
import { BlockHasher } from './block-hasher.ts';
import { BLOCK_BYTES, type ByteSink } from './bytes.ts';
import { writeFile } from './disk.ts';

/** Size in bytes and SHA-256 (hexadecimal) of a file. */
export interface Hashed {
  readonly byteLength: number;
  readonly sha256: string;
}

/** Takes bytes in the order of their offsets, and copies them; skipped ranges are zeros. */
export type WriteForward = (bytes: Uint8Array, offset: number) => Promise<void>;

/**
 * Writes a file from beginning to end; whole blocks are written and hashed (in another thread) while the next ones are filled.
 * Throws as `writeFile` does.
 */
export async function writeHashed(
  path: string,
  fill: (write: WriteForward) => Promise<void>,
): Promise<Hashed> {
  const hasher = BlockHasher.borrow();
  try {
    let hashed: Hashed | undefined;
    await writeFile(path, async (sink) => {
      const blocks = new BlockWriter(sink, hasher);
      try {
        await fill((bytes, offset) => blocks.append(bytes, offset));
        hashed = await blocks.finish();
      } finally {
        await blocks.settle();
      }
    });
    if (!hashed) throw new Error(`${path} was not hashed`);
    return hashed;
  } finally {
    hasher.return();
  }
}

/** Collects bytes in blocks, and has full ones written and hashed. */
class BlockWriter {
  readonly #sink: ByteSink;
  readonly #hasher: BlockHasher;
  /** What is done with each of the hasher's blocks. */
  readonly #works: (Promise<unknown> | undefined)[] = [];
  /** Where the block that is filled begins in the file, and how far it is filled. */
  #begin = 0;
  #filled = 0;
  #isHashing = false;

  constructor(sink: ByteSink, hasher: BlockHasher) {
    this.#sink = sink;
    this.#hasher = hasher;
  }

  async append(bytes: Uint8Array, offset: number): Promise<void> {
    const gap = offset - this.#begin - this.#filled;
    if (gap < 0) throw new Error(`${this.#sink.name} is written backwards`);
    for (let left = gap; left > 0; ) left -= await this.#fill((block) => block.fill(0, 0, left), left);
    for (let at = 0; at < bytes.length; ) {
      const rest = bytes.subarray(at);
      at += await this.#fill((block) => block.set(rest.subarray(0, block.length)), rest.length);
    }
  }

  /** Hands the next bytes of the current block to `put`; gives how many there were. */
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

  /** Has the current block written and hashed, and waits until the next one is free. */
  async #flush(): Promise<void> {
    const block = this.#block.subarray(0, this.#filled);
    this.#isHashing = true;
    const work = Promise.all([this.#sink.write(block, this.#begin), this.#hasher.update(block)]);
    // It is awaited when its block is needed again; failing before must not count as unhandled.
    work.catch(() => {});
    this.#works[this.#index] = work;
    this.#begin += this.#filled;
    this.#filled = 0;
    await this.#works[this.#index];
  }

  async finish(): Promise<Hashed> {
    const last = this.#block.subarray(0, this.#filled);
    const byteLength = this.#begin + this.#filled;
    if (!this.#isHashing) {
      await this.#sink.write(last, 0);
      return { byteLength, sha256: createHash('sha256').update(last).digest('hex') };
    }
    await Promise.all([...this.#works, this.#sink.write(last, this.#begin), this.#hasher.update(last)]);
    this.#isHashing = false;
    return { byteLength, sha256: await this.#hasher.digest() };
  }

  /** Waits until nothing uses the blocks any more. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#works);
    if (this.#isHashing) await this.#hasher.digest().catch(() => {});
  }
}
