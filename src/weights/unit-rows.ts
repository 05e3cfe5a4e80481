import { blockConverter } from './convert-dtype.ts';
import { byteSize } from './dtype.ts';
import { bytesOf, readTensor } from './tensor-data.ts';
import type { Weight } from './weight.ts';

/**
 * A matrix of floats [N,C] with each row divided by its Euclidean length, or by 1e-12 where that is longer, as
 * torch.nn.functional.normalize does. It is held in memory whole while it is streamed: only for small ones.
 */
export function unitRows(weight: Weight): Weight {
  const [, columns = 0] = weight.shape;
  return {
    ...weight,
    async *stream(dtype) {
      const convert = blockConverter('f32', dtype);
      if (!convert) throw new Error(`float32 does not convert to ${dtype}`);
      const matrix = await readTensor(weight, 'f32');
      for (let start = 0; start < matrix.data.length; start += columns) {
        const row = matrix.data.subarray(start, start + columns);
        const length = Math.max(Math.hypot(...row), 1e-12);
        row.set(row.map((value) => value / length));
      }
      const bytes = new Uint8Array(byteSize(weight.shape, dtype));
      convert(bytesOf(matrix), bytes);
      yield bytes;
    },
  };
}
