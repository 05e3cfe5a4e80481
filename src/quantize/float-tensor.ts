import { borrowBlock, returnBlocks } from '../io/block-pool.ts';
import { BLOCK_BYTES } from '../io/bytes.ts';
import { blockConverter } from '../weights/convert-dtype.ts';
import { byteWidth, type DType } from '../weights/dtype.ts';
import type { TensorStream } from '../weights/tensor-stream.ts';

/** A weight of a model in any format, unread: fractions that can be streamed as often as needed. */
export interface FloatTensor extends TensorStream {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** The elements as float16 codes, a block at a time: views of one reused buffer. Throws what reading throws. */
export async function* float16Codes(tensor: FloatTensor): AsyncGenerator<Uint16Array> {
  for await (const { buffer, byteOffset, byteLength } of converted(tensor, 'f16'))
    yield new Uint16Array(buffer, byteOffset, byteLength / 2);
}

/** The elements as float32, a block at a time: views of one reused buffer. Throws what reading throws. */
export async function* float32Values(tensor: FloatTensor): AsyncGenerator<Float32Array> {
  for await (const { buffer, byteOffset, byteLength } of converted(tensor, 'f32'))
    yield new Float32Array(buffer, byteOffset, byteLength / 4);
}

async function* converted(tensor: FloatTensor, to: 'f16' | 'f32'): AsyncGenerator<Uint8Array> {
  const { name, dtype } = tensor;
  const convert = blockConverter(dtype, to);
  if (!convert) throw new Error(`${name} is ${dtype}, not a fraction`);
  const [from, into] = [byteWidth(dtype), byteWidth(to)];
  const piece = (BLOCK_BYTES / Math.max(from, into)) * from;
  let buffer: ReturnType<typeof borrowBlock> | undefined; // float16 as float16 needs none
  try {
    for await (const block of tensor.stream()) {
      if (dtype === to && block.byteOffset % into === 0) {
        yield block;
        continue;
      }
      for (let at = 0; at < block.length; at += piece) {
        // A copy begins where typed arrays can.
        const part = block.subarray(at, at + piece);
        const source = part.byteOffset % 8 === 0 ? part : part.slice();
        buffer ??= borrowBlock();
        const target = buffer.subarray(0, (source.length / from) * into);
        convert(source, target);
        yield target;
      }
    }
  } finally {
    if (buffer) returnBlocks(buffer);
  }
}
