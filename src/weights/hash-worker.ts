import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { BLOCK_BYTES } from './bytes.ts';
import { openFile } from './disk.ts';

/** Runs in a thread of its own: answers with the SHA-256, in hexadecimal, of the file named in `workerData`. */
const source = await openFile(String(workerData));
const hash = createHash('sha256');
const buffer = new Uint8Array(BLOCK_BYTES);
for (let offset = 0; offset < source.size; offset += buffer.length) {
  const block = buffer.subarray(0, source.size - offset);
  await source.read(block, offset);
  hash.update(block);
}
await source.close();
parentPort?.postMessage(hash.digest('hex'));
