import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';

/** A stretch of the shared memory to hash, or the end of what belongs together. */
export type HashOrder = { readonly begin: number; readonly end: number } | 'digest';

/** Runs in a thread of its own: hashes stretches of the memory in `workerData`, answering each order with the digest or nothing. */
const memory = new Uint8Array(workerData);
let hash = createHash('sha256');

parentPort?.on('message', (order: HashOrder) => {
  if (order === 'digest') {
    parentPort?.postMessage(hash.digest('hex'));
    hash = createHash('sha256');
    return;
  }
  hash.update(memory.subarray(order.begin, order.end));
  parentPort?.postMessage('');
});
