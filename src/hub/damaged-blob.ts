import { basename, dirname } from 'node:path';
import { FileFormatError } from '../errors.ts';
import { realPath } from '../io/disk.ts';
import { remoteFile } from '../io/remote-files.ts';

/** Throws `FileFormatError` for a file of the Hub's cache that has another SHA-256 than its content is called by there. */
export async function refuseDamagedBlob(file: string, sha256: string): Promise<void> {
  if (remoteFile(file)) return;
  const blob = await realPath(file);
  const name = basename(blob);
  if (basename(dirname(blob)) !== 'blobs' || !/^[\da-f]{64}$/.test(name) || name === sha256) return;
  throw new FileFormatError({
    problem: `${file} is not what the Hub has: it was damaged in the cache.`,
    details: { expected: `SHA-256 ${name}`, found: sha256 },
    advice: 'sdconvert download with the name of the repository brings it again.',
  });
}
