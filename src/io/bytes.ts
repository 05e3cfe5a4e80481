/**
 * Bytes come and go through these two interfaces only. Files implement them in `disk.ts`; memory and HTTP ranges can
 * do so without the converter noticing.
 */

/** Something that can be read at any offset. */
export interface ByteSource {
  /** Name for error texts: a path or an address. */
  readonly name: string;
  /** Total size in bytes. */
  readonly size: number;
  /** Fills `into` from `offset`. Throws `FileFormatError` when the source ends before `into` is full. */
  read(into: Uint8Array, offset: number): Promise<void>;
  close(): Promise<void>;
}

/** Something that can be written at any offset, and appears under its name only when it is complete. */
export interface ByteSink {
  /** The final name. */
  readonly name: string;
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Makes the bytes appear under the final name. */
  close(): Promise<void>;
  /** Leaves nothing behind. */
  discard(): Promise<void>;
}

/** A stretch of a source. */
export interface ByteRange {
  readonly offset: number;
  readonly bytes: number;
}

/** Bytes of one streaming block: the size at which conversion was measured fastest (it stays in the cache). */
export const BLOCK_BYTES = 1 << 20;
