import { createHash, type Hash } from 'node:crypto';
import { throwIfInterrupted } from '../../context.ts';
import { openFile } from '../disk.ts';
import { streamBytes } from '../stream-bytes.ts';

/** Options of hashing a file. */
export interface HashOptions {
  /** SHA-256 when left out; `git` is SHA-1 over the size and the bytes, as Git names contents. */
  readonly as?: 'sha256' | 'git' | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Is told how many bytes each block had. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

/** The hash of a file's bytes, in hexadecimal. Throws `InterruptedError`, and as `openFile` and its reads do. */
export async function hashStream(path: string, { as, signal, onBytes }: HashOptions = {}): Promise<string> {
  const file = await openFile(path);
  try {
    const hash: Hash = as === 'git' ? createHash('sha1').update(`blob ${file.size}\0`) : createHash('sha256');
    for await (const block of streamBytes(file, 0, file.size)) {
      throwIfInterrupted(signal);
      hash.update(block);
      onBytes?.(block.length);
    }
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}
