import { createHash } from 'node:crypto';
import type { ByteSink } from './bytes.ts';

/** A sink written from beginning to end that knows the SHA-256 of what its file will hold. */
export interface HashingSink extends ByteSink {
  /** What has been written so far: its size, and its SHA-256 in hexadecimal. To be asked for once, after the last write. */
  finish(): { readonly byteLength: number; readonly sha256: string };
}

const ZEROS = new Uint8Array(4096);

/** Hashes on the way to `sink`. Offsets may only grow; gaps are zeros, as on the disk. */
export function hashingSink(sink: ByteSink): HashingSink {
  const hash = createHash('sha256');
  let position = 0;
  return {
    name: sink.name,
    async write(bytes, offset) {
      if (offset < position) throw new Error(`${sink.name} is written backwards`);
      while (position < offset) {
        const gap = ZEROS.subarray(0, offset - position);
        hash.update(gap);
        position += gap.length;
      }
      hash.update(bytes);
      position += bytes.length;
      await sink.write(bytes, offset);
    },
    close: () => sink.close(),
    discard: () => sink.discard(),
    finish: () => ({ byteLength: position, sha256: hash.digest('hex') }),
  };
}
