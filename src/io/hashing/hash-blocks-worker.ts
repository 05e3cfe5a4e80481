import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

/** What to do for a file: to hash its next block, in shared memory, or, without one, to end. */
export interface HashOrder {
  readonly file: number;
  readonly block?: Uint8Array;
  readonly isFirst?: boolean;
}

/**
 * Runs in its own thread: hashes blocks of several files. Answers each order with a text: the digest, or nothing, which is also the
 * digest of a file whose blocks went to a thread that has ended. It never fails: other files are hashed in it, too.
 */
const hashes = new Map<number, Hash>();

parentPort?.on('message', ({ file, block, isFirst }: HashOrder) => {
  const hash = isFirst ? createHash('sha256') : hashes.get(file);
  if (!block) hashes.delete(file);
  else if (hash) hashes.set(file, hash.update(block));
  parentPort?.postMessage(block ? '' : (hash?.digest('hex') ?? ''));
});
