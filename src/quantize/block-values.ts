import { BLOCK_BYTES } from '../io/bytes.ts';
import type { BlockIndex } from './block-index.ts';
import { type FloatTensor, float32Values } from './float-tensor.ts';

/** Some elements of a tensor in a row, and the number of each one's block. */
export interface BlockValues {
  readonly values: Float32Array;
  readonly blocks: Uint32Array;
}

/** The most elements that come at a time. */
export const MOST_VALUES = BLOCK_BYTES / 8;

/** The elements with the blocks they are in; views of reused buffers. Throws what reading throws. */
export async function* blockValues(tensor: FloatTensor, index: BlockIndex): AsyncGenerator<BlockValues> {
  const buffer = new Uint32Array(MOST_VALUES);
  let position = 0;
  for await (const read of float32Values(tensor)) {
    for (let at = 0; at < read.length; at += MOST_VALUES) {
      const values = read.subarray(at, at + MOST_VALUES);
      const blocks = buffer.subarray(0, values.length);
      index.fill(position, blocks);
      position += values.length;
      yield { values, blocks };
    }
  }
}
