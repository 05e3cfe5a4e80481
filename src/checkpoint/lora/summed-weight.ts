import { FileFormatError } from '../../errors.ts';
import { blockConverter } from '../../weights/convert-dtype.ts';
import { byteWidth, type DType, elementCount } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';
import { notComputed } from './not-computed.ts';
import { borrowBytes, returnBytes, rowBlocks, rowsPerBlock } from './row-blocks.ts';

/**
 * Adds a weight of as many elements, multiplied by `strength`, to another: in float32 as both stream, a block of each
 * at a time, rounded once to the requested dtype. Streaming throws `FileFormatError` where an added number is not
 * finite.
 */
export function summedWeight(base: Weight, added: Weight, strength: number): Weight {
  if (elementCount(base.shape) !== elementCount(added.shape))
    throw new Error(`${added.name} [${added.shape}] cannot be added to ${base.name} [${base.shape}]`);
  return { ...base, stream: (dtype) => streamSum(base, added, strength, dtype) };
}

async function* streamSum(
  base: Weight,
  added: Weight,
  strength: number,
  dtype: DType,
): AsyncGenerator<Uint8Array> {
  const convert = blockConverter('f32', dtype);
  if (!convert) throw notComputed(base, dtype);
  const rounded = borrowBytes(rowsPerBlock(1) * 4);
  const others = rowBlocks(added, 1);
  try {
    for await (const { values } of rowBlocks(base, 1)) {
      const { value: other } = await others.next();
      add(values, other?.values ?? new Float32Array(0), strength, added);
      const target = rounded.subarray(0, values.length * byteWidth(dtype));
      convert(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), target);
      yield target;
    }
  } finally {
    await others.return(undefined);
    returnBytes(rounded);
  }
}

function add(values: Float32Array, added: Float32Array, strength: number, { name, file }: Weight): void {
  for (let i = 0; i < values.length; i++) {
    const value = added[i] ?? 0;
    if (!Number.isFinite(value)) {
      throw new FileFormatError({
        problem: `${file} holds a number that is not finite.`,
        details: { tensor: name, found: String(value) },
        advice: 'The training went wrong or the file is damaged: use another version of it.',
      });
    }
    values[i] = (values[i] ?? 0) + strength * value;
  }
}

/**
 * Pads each row of a weight with zeros to `columns` elements: a change for more input channels, the additional ones
 * unchanged.
 */
export function withLongerRows(weight: Weight, columns: number): Weight {
  const [rows = 0, ...row] = weight.shape;
  const own = elementCount(row);
  return {
    ...weight,
    shape: [rows, columns],
    async *stream(dtype) {
      const width = byteWidth(dtype);
      const line = new Uint8Array(columns * width);
      let filled = 0;
      for await (const bytes of weight.stream(dtype)) {
        for (let at = 0; at < bytes.length; ) {
          const piece = bytes.subarray(at, at + own * width - filled);
          line.set(piece, filled);
          filled += piece.length;
          at += piece.length;
          if (filled < own * width) continue;
          yield line;
          filled = 0;
        }
      }
    },
  };
}
