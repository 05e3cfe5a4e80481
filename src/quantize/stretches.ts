import { BLOCK_BYTES } from '../io/bytes.ts';
import { type FloatTensor, float32Values } from './float-tensor.ts';

/** Some elements of a tensor in a row, and the place of the first among all. */
export interface Stretch {
  readonly values: Float32Array;
  readonly position: number;
}

/** The most elements that come at a time. */
export const MOST_VALUES = BLOCK_BYTES / 8;

/** The elements as float32; views of a reused buffer. Throws what reading throws. */
export async function* stretches(tensor: FloatTensor): AsyncGenerator<Stretch> {
  let position = 0;
  for await (const read of float32Values(tensor)) {
    for (let at = 0; at < read.length; at += MOST_VALUES) {
      const values = read.subarray(at, at + MOST_VALUES);
      yield { values, position };
      position += values.length;
    }
  }
}
