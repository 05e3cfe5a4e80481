import { borrowBlock, returnBlocks } from './block-pool.ts';
import type { ByteSource } from './bytes.ts';

/**
 * A stretch of a source, as it is, in blocks. Each block is a view of one reused buffer: use it before asking for the
 * next. Throws `FileFormatError` when the source ends before the stretch does.
 */
export async function* streamBytes(
  source: ByteSource,
  offset: number,
  byteLength: number,
): AsyncGenerator<Uint8Array> {
  const buffer = borrowBlock();
  try {
    for (let done = 0; done < byteLength; done += buffer.length) {
      const block = buffer.subarray(0, Math.min(buffer.length, byteLength - done));
      await source.read(block, offset + done);
      yield block;
    }
  } finally {
    returnBlocks(buffer);
  }
}
