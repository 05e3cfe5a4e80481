import type { DType } from './dtype.ts';

/**
 * A tensor of a checkpoint that has not been read: its header entry, and a way to stream its bytes.
 * Nothing in `graph/` or `convert/` ever holds more than this.
 */
export interface Weight {
  /** Its name in diffusers/transformers layout, e.g. `mid_block.resnets.0.conv1.weight`. */
  readonly name: string;
  /** Element type in the checkpoint; float32 for numbers that are packed in some other way (`coding`). */
  readonly dtype: DType;
  /** Name of the stored type where it is not `dtype`, and the bits of one number: `Q4_K`, 4.5. */
  readonly coding?: { readonly name: string; readonly bits: number };
  readonly shape: readonly number[];
  /** The file that holds it, for error messages. */
  readonly file: string;
  /**
   * The elements as little-endian bytes of `dtype`, in row-major order, in blocks of about `BLOCK_BYTES`.
   * Floats are converted with round-to-nearest-even. Each block is a view of one reused buffer: use it before asking for the next.
   */
  stream(dtype: DType): AsyncIterable<Uint8Array>;
}
