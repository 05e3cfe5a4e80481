import { BLOCK_BYTES } from '../io/bytes.ts';
import { type FloatTensor, float32Values } from './float-tensor.ts';

/** Some elements of a tensor in a row, and the place of the first among all. */
export interface Stretch {
  readonly values: Float32Array;
  readonly position: number;
}

/** The most elements that come at a time. */
export const MOST_VALUES = BLOCK_BYTES / 8;

/** The elements as float32, `most` at a time; views of a reused buffer. Throws what reading throws. */
export async function* stretches(tensor: FloatTensor, most = MOST_VALUES): AsyncGenerator<Stretch> {
  let position = 0;
  for await (const read of float32Values(tensor)) {
    for (let at = 0; at < read.length; at += most) {
      const values = read.subarray(at, at + most);
      yield { values, position };
      position += values.length;
    }
  }
}
