import type { BlockConverter } from '../convert-dtype.ts';
import { readTensor } from '../tensor-data.ts';
import type { Weight } from '../weight.ts';
import { streamScaled } from './scaled-stream.ts';
import { checkScale, otherShape } from './scaled-weight.ts';

/**
 * NVIDIA's 4-bit floats: 1 bit of sign, 2 of exponent, 1 of fraction, two in a byte; each 16 of a row share a scale in
 * float8, and all share one in float32. Two layouts are about. ModelOpt and diffusers put the first of two numbers in the
 * low nibble, and the scales [N,K/16] in order. ComfyUI puts it in the high nibble, and the scales as tensor cores take
 * them: padded to tiles of 128 × 4, and in each tile four rows that are 32 apart side by side
 * (https://docs.nvidia.com/cuda/cublas/#d-block-scaling-factors-layout).
 */

/** Numbers that share a scale. */
const GROUP = 16;

const TILE = { rows: 128, columns: 4 };

/** Values of the 16 codes. */
const values = Float32Array.of(0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6);

/** The scales of a matrix [N,K] of 4-bit floats. */
export interface Nvfp4Scales {
  /** One for each 16 of a row. */
  readonly blocks: Weight;
  /** One for all. */
  readonly whole: Weight;
  /** Whether ComfyUI's tools wrote it, where the shapes do not tell the layout. */
  readonly byComfy: boolean;
}

/** A matrix of pairs [N,K/2] as the weight [N,K] that it stands for. Throws `FileFormatError` where the shapes do not fit. */
export function nvfp4Weight(weight: Weight, { blocks, whole, byComfy }: Nvfp4Scales): Weight {
  const { name, shape, file } = weight;
  checkScale(weight, blocks);
  checkScale(weight, whole);
  const [rows = 0, pairs = 0] = shape;
  const perRow = (2 * pairs) / GROUP;
  if (shape.length !== 2 || !Number.isInteger(perRow)) throw otherShape(weight, blocks);
  if (whole.shape.some((size) => size !== 1)) throw otherShape(weight, whole);
  const layout = layoutOf(blocks.shape, rows, perRow, byComfy);
  if (!layout) throw otherShape(weight, blocks);
  return {
    name,
    dtype: 'f32',
    coding: { name: 'nvfp4', bits: 4.5 },
    shape: [rows, 2 * pairs],
    file,
    async *stream(to) {
      const [{ data: factors }, { data }] = [await readTensor(whole, 'f32'), await readTensor(blocks, 'f32')];
      const scales = (layout === 'tiled' ? untiled(data, rows, perRow) : data).map(
        (scale) => scale * (factors[0] ?? 0),
      );
      const grid = { columns: 2 * pairs, block: [1, GROUP], scalesPerRow: perRow } as const;
      const decode = layout === 'tiled' ? highFirst : lowFirst;
      yield* streamScaled({ stored: weight.stream('u8'), width: 0.5, decode, scales, grid }, to);
    },
  };
}

function layoutOf(
  shape: readonly number[],
  rows: number,
  perRow: number,
  byComfy: boolean,
): 'tiled' | 'plain' | undefined {
  const [high, wide] = [upTo(rows, TILE.rows), upTo(perRow, TILE.columns)];
  const isPlain = shape.length === 2 && shape[0] === rows && shape[1] === perRow;
  const isTiled = shape.length === 2 && shape[0] === high && shape[1] === wide;
  if (isPlain && isTiled) return byComfy ? 'tiled' : 'plain';
  return isPlain ? 'plain' : isTiled ? 'tiled' : undefined;
}

/** Scales in the order of the matrix, [rows, perRow]. */
function untiled(tiled: Float32Array, rows: number, perRow: number): Float32Array {
  const tilesPerRow = upTo(perRow, TILE.columns) / TILE.columns;
  const scales = new Float32Array(rows * perRow);
  for (let row = 0; row < rows; row++) {
    const inTile = row % TILE.rows;
    const from = (inTile % 32) * 16 + (inTile >> 5) * TILE.columns;
    const firstTile = Math.floor(row / TILE.rows) * tilesPerRow;
    for (let column = 0; column < perRow; column++) {
      const tile = firstTile + (column >> 2);
      scales[row * perRow + column] = tiled[tile * TILE.rows * TILE.columns + from + (column & 3)] ?? 0;
    }
  }
  return scales;
}

function upTo(size: number, multiple: number): number {
  return Math.ceil(size / multiple) * multiple;
}

const lowFirst: BlockConverter = (pairs, target) => {
  const numbers = new Float32Array(target.buffer, target.byteOffset, 2 * pairs.length);
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i] ?? 0;
    numbers[2 * i] = values[pair & 15] ?? 0;
    numbers[2 * i + 1] = values[pair >> 4] ?? 0;
  }
};

const highFirst: BlockConverter = (pairs, target) => {
  const numbers = new Float32Array(target.buffer, target.byteOffset, 2 * pairs.length);
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i] ?? 0;
    numbers[2 * i] = values[pair >> 4] ?? 0;
    numbers[2 * i + 1] = values[pair & 15] ?? 0;
  }
};
