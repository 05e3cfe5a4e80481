import { borrowBlock, returnBlocks } from '../../io/block-pool.ts';
import { BLOCK_BYTES } from '../../io/bytes.ts';
import { type BlockConverter, blockConverter } from '../convert-dtype.ts';
import { byteWidth, type DType } from '../dtype.ts';
import { applyScales, type ScaleGrid } from './scale-grid.ts';

/** Numbers before their scales, and where the scales lie. */
export interface ScaledNumbers {
  /** The bytes that the numbers are stored as, in blocks. */
  readonly stored: AsyncIterable<Uint8Array>;
  /** Bytes of one number; 0.5 for pairs in a byte. */
  readonly width: number;
  /** Makes float32s of the stored bytes. */
  readonly decode: BlockConverter;
  /** All the scales; they are in memory while the tensor streams. */
  readonly scales: Float32Array;
  readonly grid: ScaleGrid;
}

/** Float32s of one block of the stream. */
const PER_BLOCK = BLOCK_BYTES / 4;

/** The numbers times their scales, in float32, as little-endian bytes of `to`, a block of `BLOCK_BYTES` at a time. */
export async function* streamScaled(numbers: ScaledNumbers, to: DType): AsyncGenerator<Uint8Array> {
  const { stored, width, decode, scales, grid } = numbers;
  const convert = blockConverter('f32', to);
  if (!convert) throw new Error(`scaled numbers do not become ${to}`);
  const buffers = [borrowBlock(), borrowBlock()] as const;
  const [scaled, converted] = buffers;
  let first = 0;
  try {
    for await (const piece of pieces(stored, PER_BLOCK * width)) {
      const count = piece.length / width;
      const values = scaled.subarray(0, 4 * count);
      decode(piece, values);
      applyScales(new Float32Array(values.buffer, values.byteOffset, count), first, scales, grid);
      const output = to === 'f32' ? values : converted.subarray(0, count * byteWidth(to));
      if (to !== 'f32') convert(values, output);
      yield output;
      first += count;
    }
  } finally {
    returnBlocks(...buffers);
  }
}

/** Cuts blocks into blocks of at most `size` bytes. */
async function* pieces(blocks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  for await (const block of blocks)
    for (let at = 0; at < block.length; at += size) yield block.subarray(at, at + size);
}
