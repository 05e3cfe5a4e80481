import { borrowBlock, returnBlocks } from '../../io/block-pool.ts';
import { BLOCK_BYTES } from '../../io/bytes.ts';
import type { Weight } from '../../weights/weight.ts';

/** Whole rows of a weight, in float32. */
export interface RowBlock {
  /** Index of the first row. */
  readonly first: number;
  /** Row-major; the next block reuses the array, and consumers may change it. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** Number of rows of a width that fit a streaming block as float32; at least one. */
export function rowsPerBlock(columns: number): number {
  return Math.max(1, Math.floor(BLOCK_BYTES / 4 / columns));
}

/** Streams a weight as float32 in blocks of whole rows: `rowsPerBlock` rows each, fewer in the last. */
export async function* rowBlocks(weight: Weight, columns: number): AsyncGenerator<RowBlock> {
  const blockBytes = rowsPerBlock(columns) * columns * 4;
  const buffer = borrowBytes(blockBytes);
  const block = (first: number, bytes: number): RowBlock => {
    return { first, values: new Float32Array(buffer.buffer, buffer.byteOffset, bytes / 4) };
  };
  let first = 0;
  let filled = 0;
  try {
    for await (const bytes of weight.stream('f32')) {
      for (let at = 0; at < bytes.length; ) {
        const piece = bytes.subarray(at, at + blockBytes - filled);
        buffer.set(piece, filled);
        filled += piece.length;
        at += piece.length;
        if (filled < blockBytes) continue;
        yield block(first, filled);
        first += rowsPerBlock(columns);
        filled = 0;
      }
    }
    if (filled > 0) yield block(first, filled);
  } finally {
    returnBytes(buffer);
  }
}

/** Borrows a buffer of at least so many bytes from the pool; larger ones than a block are allocated. */
export function borrowBytes(bytes: number): Uint8Array<ArrayBuffer> {
  return bytes <= BLOCK_BYTES ? borrowBlock() : new Uint8Array(bytes);
}

/** Returns a buffer of `borrowBytes` to the pool. */
export function returnBytes(buffer: Uint8Array<ArrayBuffer>): void {
  if (buffer.length === BLOCK_BYTES) returnBlocks(buffer);
}
