import { hashStream } from '../io/hashing/hash-stream.ts';
import { sizeOf } from './hub-cache.ts';
import type { HubFile } from './hub-client.ts';

/** Bytes of the largest file that is read whenever it is used: configs and vocabularies have a few MB. */
export const LARGEST_SMALL = 10e6;

/** How files in the cache are compared with those of the Hub. */
export interface Comparing {
  /** Whether weights are read, too, and not only small files: of others the size has to do. */
  readonly isThorough: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Is told how many bytes were read. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

/** Whether a file in the cache is that of the Hub. */
export async function isWhole(
  path: string,
  { size, oid, hash }: HubFile,
  { isThorough, signal, onBytes }: Comparing,
): Promise<boolean> {
  if ((await sizeOf(path)) !== size) return false;
  if (size > LARGEST_SMALL && !isThorough) return true;
  return (await hashStream(path, { as: hash === 'blob' ? 'git' : 'sha256', signal, onBytes })) === oid;
}
