import { basename, dirname, join } from 'node:path';
import { FileFormatError } from '../errors.ts';
import { realPath } from '../io/disk.ts';
import { hashStream } from '../io/hashing/hash-stream.ts';
import { remoteFile } from '../io/remote-files.ts';
import { sizeOf } from './hub-cache.ts';
import type { OnBytes } from './hub-client.ts';

/** The hash that a file of the Hub's cache has by its name there; `undefined` for files elsewhere, and where the cache has no links. */
async function hashByName(
  file: string,
): Promise<{ readonly as: 'sha256' | 'git'; readonly hash: string } | undefined> {
  if (remoteFile(file)) return undefined;
  const blob = await realPath(file);
  const hash = basename(blob);
  if (basename(dirname(blob)) !== 'blobs') return undefined;
  if (/^[\da-f]{64}$/.test(hash)) return { as: 'sha256', hash };
  return /^[\da-f]{40}$/.test(hash) ? { as: 'git', hash } : undefined;
}

/** Throws `FileFormatError` for a file of the Hub's cache that has another SHA-256 than its content is called by there. */
export async function refuseDamagedBlob(file: string, sha256: string): Promise<void> {
  const known = await hashByName(file);
  if (known?.as === 'sha256' && known.hash !== sha256) throw damaged(file, known.hash, sha256);
}

/** The same of files of a snapshot that nobody has hashed yet. Throws `InterruptedError`, too, and what reading throws. */
export async function refuseDamagedFiles(
  folder: string,
  names: readonly string[],
  { onBytes, signal }: { readonly onBytes: OnBytes | undefined; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const sizes = await Promise.all(names.map((name) => sizeOf(join(folder, name))));
  const total = sizes.reduce<number>((sum, size = 0) => sum + size, 0);
  let done = 0;
  for (const [at, name] of names.entries()) {
    const file = join(folder, name);
    const known = await hashByName(file);
    const tell = (count: number): void => {
      done += count;
      onBytes?.(name, done, total);
    };
    if (!known) tell(sizes[at] ?? 0);
    else {
      const found = await hashStream(file, { as: known.as, signal, onBytes: tell });
      if (found !== known.hash) throw damaged(file, known.hash, found);
    }
  }
}

function damaged(file: string, expected: string, found: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not what the Hub has: it was damaged in the cache.`,
    details: { expected: `SHA-${expected.length === 64 ? '256' : '1'} ${expected}`, found },
    advice: 'sdconvert download with the name of the repository, and not offline, brings it again.',
  });
}
