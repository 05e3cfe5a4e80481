import { Worker } from 'node:worker_threads';
import { InterruptedError } from '../errors.ts';

/**
 * SHA-256 of a file, in hexadecimal, computed in another thread, so that it costs a conversion no time (hashing takes
 * about 0.5 s of CPU a gigabyte). Throws `InterruptedError` when the signal aborts it, and what reading the file throws.
 */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./hash-worker.${extension}`, import.meta.url), {
    workerData: path,
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
  });
  const stop = (): void => void worker.terminate();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
      worker.once('exit', () =>
        reject(new InterruptedError({ problem: `interrupted while hashing ${path}.` })),
      );
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
