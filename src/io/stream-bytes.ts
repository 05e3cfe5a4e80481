import { borrowBlock, returnBlocks } from './block-pool.ts';
import { BLOCK_BYTES, type ByteSource } from './bytes.ts';

/** A stretch of a source, as it is, as `readAhead` gives it. Throws `FileFormatError` when the source ends before the stretch does. */
export function streamBytes(
  source: ByteSource,
  offset: number,
  byteLength: number,
): AsyncGenerator<Uint8Array> {
  return readAhead(byteLength, (into, at) => source.read(into, offset + at));
}

/**
 * So many bytes in blocks of `most`: while one is used, `read` fills the next one with the bytes from `at` on. Each block is a view
 * of a reused buffer: use it before asking for the next. Throws what reading throws.
 */
export async function* readAhead(
  byteLength: number,
  read: (into: Uint8Array, at: number) => Promise<void>,
  most = BLOCK_BYTES,
): AsyncGenerator<Uint8Array> {
  if (byteLength === 0) return;
  let [free, taken] = [borrowBlock(), borrowBlock()];
  const begin = (at: number): Promise<Uint8Array> => {
    const block = free.subarray(0, Math.min(most, byteLength - at));
    [free, taken] = [taken, free];
    const reading = read(block, at).then(() => block);
    reading.catch(() => {}); // thrown where it is awaited, which may be later
    return reading;
  };
  let next = begin(0);
  try {
    for (let at = 0; at < byteLength; at += most) {
      const block = await next;
      if (at + most < byteLength) next = begin(at + most);
      yield block;
    }
  } finally {
    await Promise.allSettled([next]); // a consumer that stops early leaves no block behind that is still written to
    returnBlocks(free, taken);
  }
}
