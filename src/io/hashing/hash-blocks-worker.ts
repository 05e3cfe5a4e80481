import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

/** What to do for a file: to hash its next block, in shared memory, or, without one, to end. */
export interface HashOrder {
  readonly file: number;
  readonly block?: Uint8Array;
  readonly isFirst?: boolean;
}

/** Runs in its own thread: hashes blocks of several files. Answers each order with a text: the digest, or nothing. */
const hashes = new Map<number, Hash>();

parentPort?.on('message', ({ file, block, isFirst }: HashOrder) => {
  const hash = isFirst ? createHash('sha256') : hashes.get(file);
  if (!hash) throw new Error('the thread that hashed the blocks before has ended');
  hashes.set(file, hash);
  if (block) {
    hash.update(block);
    parentPort?.postMessage('');
  } else {
    hashes.delete(file);
    parentPort?.postMessage(hash.digest('hex'));
  }
});
