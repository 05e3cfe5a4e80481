import { BLOCK_BYTES } from '../bytes.ts';
import { pageBlocks } from '../direct-writes.ts';
import { Thread } from '../thread.ts';
import type { HashOrder } from './hash-blocks-worker.ts';

/** Blocks in use at once: one is being filled, the others are being written and hashed. */
const BLOCKS = 4;

/**
 * The SHA-256 of a file's blocks in shared memory, computed in another thread while this one goes on. All files share one thread: it
 * hashes faster than blocks come. Hashers are reused for their memory.
 */
export class BlockHasher {
  static readonly #thread = new Thread<HashOrder, string>('hash-blocks-worker', import.meta.url);
  static readonly #free: BlockHasher[] = [];
  static #made = 0;

  /** Blocks of `BLOCK_BYTES`, for the borrower to fill. */
  readonly blocks = pageBlocks(BLOCKS, BLOCK_BYTES);
  readonly #file = BlockHasher.#made++;
  #isBegun = false;

  static borrow(): BlockHasher {
    return BlockHasher.#free.pop() ?? new BlockHasher();
  }

  /** Returns the hasher to the pool; no hash may be unfinished and no block in use. */
  return(): void {
    BlockHasher.#free.push(this);
  }

  /** Hashes the beginning of a block, which must not change until this resolves. */
  async update(block: Uint8Array): Promise<void> {
    const isFirst = !this.#isBegun;
    this.#isBegun = true;
    await BlockHasher.#thread.ask({ file: this.#file, block, isFirst });
  }

  /** Returns the hash of all blocks since the last digest, in hexadecimal. Throws what ended its thread. */
  async digest(): Promise<string> {
    this.#isBegun = false;
    const sha256 = await BlockHasher.#thread.ask({ file: this.#file });
    if (sha256 === '') throw new Error('the thread that hashed the blocks before has ended');
    return sha256;
  }

  /** Forgets the blocks since the last digest, if there are any. */
  async reset(): Promise<void> {
    if (this.#isBegun) await this.digest();
  }
}
