import { byteWidth } from '../weights/dtype.ts';
import { readStream } from '../weights/tensor-stream.ts';
import type { FloatTensor } from './float-tensor.ts';

/** A matrix [a, b] as [b, a]. Streaming it holds the whole matrix in memory, twice. */
export function transposed(tensor: FloatTensor): FloatTensor {
  const [rows = 0, columns = 0] = tensor.shape;
  const width = byteWidth(tensor.dtype);
  return {
    ...tensor,
    shape: [columns, rows],
    async *stream() {
      const given = await readStream(tensor);
      const turned = new Uint8Array(given.length);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const [from, to] = [(row * columns + column) * width, (column * rows + row) * width];
          for (let byte = 0; byte < width; byte++) turned[to + byte] = given[from + byte] ?? 0;
        }
      }
      yield turned;
    },
  };
}
