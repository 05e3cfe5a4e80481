import { BLOCK_BYTES } from './bytes.ts';

/**
 * Buffers of one block, lent again and again: a checkpoint streams through a thousand tensors, and a new buffer for each
 * would leave more garbage behind than the conversion holds.
 */
const free: Uint8Array<ArrayBuffer>[] = [];

/** A buffer of `BLOCK_BYTES`, its contents whatever they were. */
export function borrowBlock(): Uint8Array<ArrayBuffer> {
  return free.pop() ?? new Uint8Array(BLOCK_BYTES);
}

/** Gives buffers back; nobody may use them, or views of them, any more. */
export function returnBlocks(...blocks: readonly Uint8Array<ArrayBuffer>[]): void {
  free.push(...blocks);
}
