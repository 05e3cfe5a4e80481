import { Worker } from 'node:worker_threads';
import { throwIfInterrupted } from '../context.ts';
import * as errors from '../errors.ts';
import { hashStream } from './hash-stream.ts';
import type { HashReply } from './hash-worker.ts';
import { remoteFile } from './remote-files.ts';

/**
 * SHA-256 of a file, in hexadecimal, computed in another thread to cost a conversion no time (hashing takes
 * about 0.5 s of CPU a gigabyte). Throws `InterruptedError` when the signal aborts it, and as `openFile` and its reads do.
 */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  throwIfInterrupted(signal);
  const elsewhere = remoteFile(path);
  if (elsewhere) return elsewhere.sha256 ?? hashStream(path, { signal });
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./hash-worker.${extension}`, import.meta.url), {
    workerData: path,
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
  });
  const stop = (): void => void worker.terminate();
  try {
    signal?.addEventListener('abort', stop, { once: true });
    const reply = await new Promise<HashReply>((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
      worker.once('exit', () =>
        reject(new errors.InterruptedError({ problem: `interrupted while hashing ${path}.` })),
      );
    });
    if ('failed' in reply) throw revived(reply.failed);
    return reply.sha256;
  } finally {
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}

/** An error of the other thread, in its class. */
function revived({ name, advice, ...parts }: Extract<HashReply, { failed: unknown }>['failed']): Error {
  const kind = Object.values(errors).find((each) => each.name === name) ?? errors.SdConvertError;
  return new kind({ ...parts, ...(advice === undefined ? {} : { advice }) });
}
