import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { SdConvertError } from '../../errors.ts';
import { BLOCK_BYTES } from '../bytes.ts';
import { type CarriedError, carried } from '../carried-error.ts';
import { openFile } from '../disk.ts';

/** Answer of the thread: the SHA-256 in hexadecimal, or the parts of an error. */
export type HashReply = { readonly sha256: string } | { readonly failed: CarriedError };

/** Runs in a thread of its own: hashes the file named in `workerData`. */
async function hashFile(path: string): Promise<string> {
  const source = await openFile(path);
  try {
    const hash = createHash('sha256');
    const buffer = new Uint8Array(BLOCK_BYTES);
    for (let offset = 0; offset < source.size; offset += buffer.length) {
      const block = buffer.subarray(0, source.size - offset);
      await source.read(block, offset);
      hash.update(block);
    }
    return hash.digest('hex');
  } finally {
    await source.close();
  }
}

function reply(message: HashReply): void {
  parentPort?.postMessage(message);
}

await hashFile(String(workerData)).then(
  (sha256) => reply({ sha256 }),
  (error: unknown) => {
    if (!(error instanceof SdConvertError)) throw error;
    reply({ failed: carried(error) });
  },
);
