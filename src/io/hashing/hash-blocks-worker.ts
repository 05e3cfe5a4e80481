import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';

/** A range of the shared memory to hash next, or the end of the file. */
export type HashOrder = { readonly begin: number; readonly end: number } | 'digest';

/** Runs in its own thread: hashes ranges of the memory in `workerData`. Answers each order with a text: the digest, or nothing. */
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
