import { borrowBlock, returnBlocks } from '../io/block-pool.ts';
import { BLOCK_BYTES } from '../io/bytes.ts';
import { blockConverter } from './convert-dtype.ts';
import type { DType } from './dtype.ts';
import { byteSize, byteWidth, elementCount } from './dtype.ts';
import { readTensor } from './tensor-data.ts';
import type { Weight } from './weight.ts';

/** Weights that are others seen differently: nothing is read before they are streamed. */

/** Renames a tensor. */
export function renamed(weight: Weight, name: string): Weight {
  return { ...weight, name };
}

/** Reshapes a tensor. Throws when the number of elements differs. */
export function reshaped(weight: Weight, shape: readonly number[]): Weight {
  if (elementCount(shape) !== elementCount(weight.shape))
    throw new Error(`${weight.name} [${weight.shape}] cannot be seen as [${shape}]`);
  return { ...weight, shape };
}

/** Rows `start` to `end` (without it) along the first axis: reading stops where they end. */
export function rowsOf(weight: Weight, start: number, end: number): Weight {
  const [rows = 0, ...row] = weight.shape;
  if (start < 0 || start > end || end > rows)
    throw new Error(`${weight.name} [${weight.shape}] has no rows ${start} to ${end}`);
  return {
    ...weight,
    shape: [end - start, ...row],
    async *stream(dtype) {
      const [first, last] = [byteSize([start, ...row], dtype), byteSize([end, ...row], dtype)];
      let at = 0;
      for await (const block of weight.stream(dtype)) {
        const part = block.subarray(Math.max(0, first - at), Math.max(0, last - at));
        if (part.length > 0) yield part;
        at += block.length;
        if (at >= last) return;
      }
    },
  };
}

/** Reinterprets the bytes as elements of another dtype of the same width. */
export function viewedAs(weight: Weight, dtype: DType): Weight {
  return {
    ...weight,
    dtype,
    async *stream(to) {
      const convert = blockConverter(dtype, to);
      if (!convert || byteWidth(dtype) !== byteWidth(weight.dtype))
        throw new Error(`${weight.name} of ${weight.dtype} cannot be seen as ${dtype} and become ${to}`);
      const widening = byteWidth(to) / byteWidth(dtype);
      const piece = BLOCK_BYTES / Math.max(1, widening);
      const buffer = borrowBlock();
      try {
        for await (const block of weight.stream(weight.dtype)) {
          for (let at = 0; at < block.length; at += piece) {
            const part = block.subarray(at, at + piece);
            const converted = buffer.subarray(0, part.length * widening);
            convert(part, converted);
            yield converted;
          }
        }
      } finally {
        returnBlocks(buffer);
      }
    },
  };
}

/** A matrix [M,N] as [N,M]. It is held in memory whole while it is streamed: only for small ones. */
export function transposed(weight: Weight): Weight {
  const [rows = 0, columns = 0, ...more] = weight.shape;
  if (more.length > 0 || weight.shape.length < 2)
    throw new Error(`${weight.name} [${weight.shape}] is no matrix`);
  return {
    ...weight,
    shape: [columns, rows],
    async *stream(dtype: DType) {
      const { data } = await readTensor(weight, dtype);
      const from = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const width = byteWidth(dtype);
      const line = new Uint8Array(rows * width);
      for (let column = 0; column < columns; column++) {
        for (let row = 0; row < rows; row++) {
          const at = (row * columns + column) * width;
          for (let byte = 0; byte < width; byte++) line[row * width + byte] = from[at + byte] ?? 0;
        }
        yield line;
      }
    },
  };
}
