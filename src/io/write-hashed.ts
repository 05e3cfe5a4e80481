import { createHash } from 'node:crypto';
import { writeFile } from './disk.ts';

/** Size in bytes and SHA-256 (hexadecimal) of a file. */
export interface Hashed {
  readonly byteLength: number;
  readonly sha256: string;
}

/** Takes bytes in the order of their offsets; skipped ranges are zeros. */
export type WriteForward = (bytes: Uint8Array, offset: number) => Promise<void>;

const ZEROS = new Uint8Array(4096);

/** Writes a file from beginning to end, hashing on the way. Throws as `writeFile` does. */
export async function writeHashed(
  path: string,
  fill: (write: WriteForward) => Promise<void>,
): Promise<Hashed> {
  const hash = createHash('sha256');
  let position = 0;
  await writeFile(path, (sink) =>
    fill(async (bytes, offset) => {
      if (offset < position) throw new Error(`${path} is written backwards`);
      while (position < offset) {
        const gap = ZEROS.subarray(0, offset - position);
        hash.update(gap);
        position += gap.length;
      }
      hash.update(bytes);
      position += bytes.length;
      await sink.write(bytes, offset);
    }),
  );
  return { byteLength: position, sha256: hash.digest('hex') };
}
