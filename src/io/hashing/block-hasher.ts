import { BLOCK_BYTES } from '../bytes.ts';
import { pageBlocks } from '../direct-writes.ts';
import { Thread } from '../thread.ts';
import type { HashOrder } from './hash-blocks-worker.ts';

/** Blocks in use at once: one is being filled, the others are being written and hashed. */
const BLOCKS = 4;

/**
 * A thread that computes the SHA-256 of blocks in shared memory while this thread goes on. Hashers are reused, because starting a
 * thread takes as long as hashing 50 MB.
 */
export class BlockHasher {
  static readonly #free: BlockHasher[] = [];

  /** Blocks of `BLOCK_BYTES`, for the borrower to fill. */
  readonly blocks = pageBlocks(BLOCKS, BLOCK_BYTES);
  readonly #thread = new Thread<HashOrder, string>(
    './hash-blocks-worker',
    import.meta.url,
    this.blocks[0]?.buffer,
  );

  static borrow(): BlockHasher {
    return BlockHasher.#free.pop() ?? new BlockHasher();
  }

  /** Returns the hasher to the pool; no hash may be unfinished and no block in use. */
  return(): void {
    BlockHasher.#free.push(this);
  }

  /** Hashes the beginning of a block, which must not change until this resolves. */
  async update({ byteOffset, length }: Uint8Array): Promise<void> {
    await this.#thread.ask({ begin: byteOffset, end: byteOffset + length });
  }

  /** Returns the hash of all blocks since the last digest, in hexadecimal. */
  digest(): Promise<string> {
    return this.#thread.ask('digest');
  }
}
