import { Worker } from 'node:worker_threads';
import { throwIfInterrupted } from '../../context.ts';
import { InterruptedError } from '../../errors.ts';
import { revived } from '../carried-error.ts';
import { sizeOfFile } from '../file-sizes.ts';
import { remoteFile } from '../remote-files.ts';
import { scriptBeside } from '../script-beside.ts';
import { hashStream } from './hash-stream.ts';
import type { HashReply } from './hash-worker.ts';

/**
 * Returns the SHA-256 of a file, in hexadecimal. A large file is hashed in another thread, so that a conversion goes on meanwhile
 * (a gigabyte takes about 0.6 s of CPU). Throws `InterruptedError` when the signal aborts it, and as `openFile` and its reads do.
 */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const elsewhere = remoteFile(path);
  if (elsewhere) return elsewhere.sha256 ?? hashStream(path, { signal });
  if ((await sizeOfFile(path)) <= LARGEST_HERE) return hashStream(path, { signal });
  throwIfInterrupted(signal);
  const worker = new Worker(scriptBeside('hash-worker', import.meta.url), {
    workerData: path,
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
  });
  const stop = (): void => void worker.terminate();
  try {
    signal?.addEventListener('abort', stop, { once: true });
    const reply = await new Promise<HashReply>((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
      worker.once('exit', () =>
        reject(new InterruptedError({ problem: `interrupted while hashing ${path}.` })),
      );
    });
    if ('failed' in reply) throw revived(reply.failed);
    return reply.sha256;
  } finally {
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}

/** Starting a thread takes as long as hashing so many bytes. */
const LARGEST_HERE = 2 ** 25;
