import { Worker } from 'node:worker_threads';
import { BLOCK_BYTES } from './bytes.ts';
import { pageBlocks } from './direct-writes.ts';
import type { HashOrder } from './hash-blocks-worker.ts';

/** Blocks in use at once: one is being filled, the others are being written and hashed. */
const BLOCKS = 4;

/**
 * A thread that computes the SHA-256 of blocks in shared memory while this thread goes on. Hashers are reused, because starting a
 * thread takes as long as hashing 50 MB; the thread starts with the first block.
 */
export class BlockHasher {
  static readonly #free: BlockHasher[] = [];

  /** Blocks of `BLOCK_BYTES`, for the borrower to fill. */
  readonly blocks = pageBlocks(BLOCKS, BLOCK_BYTES);
  #worker: Worker | undefined;
  readonly #waiting: { resolve(reply: string): void; reject(error: Error): void }[] = [];

  static borrow(): BlockHasher {
    const hasher = BlockHasher.#free.pop() ?? new BlockHasher();
    hasher.#worker?.ref();
    return hasher;
  }

  /** Returns the hasher to the pool; no hash may be unfinished and no block in use. */
  return(): void {
    this.#worker?.unref();
    BlockHasher.#free.push(this);
  }

  /** Hashes the beginning of a block, which must not change until this resolves. */
  async update({ byteOffset, length }: Uint8Array): Promise<void> {
    await this.#ask({ begin: byteOffset, end: byteOffset + length });
  }

  /** Returns the hash of all blocks since the last digest, in hexadecimal. */
  digest(): Promise<string> {
    return this.#ask('digest');
  }

  #ask(order: HashOrder): Promise<string> {
    this.#worker ??= this.#start();
    this.#worker.postMessage(order);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #start(): Worker {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./hash-blocks-worker.${extension}`, import.meta.url), {
      workerData: this.blocks[0]?.buffer,
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
    });
    worker.on('message', (reply: string) => this.#waiting.shift()?.resolve(reply));
    worker.on('error', (error: Error) => {
      this.#worker = undefined;
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
    return worker;
  }
}
