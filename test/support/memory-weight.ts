import { blockConverter } from '../../src/weights/convert-dtype.ts';
import { byteSize, byteWidth, type DType } from '../../src/weights/dtype.ts';
import type { Weight } from '../../src/weights/weight.ts';

/** A float32 weight whose numbers are in memory. */
export function memoryWeight(name: string, shape: readonly number[], data: Float32Array): Weight {
  return {
    name,
    dtype: 'f32',
    shape,
    file: 'memory',
    async *stream(dtype) {
      const bytes = new Uint8Array(byteSize(shape, dtype));
      const convert = blockConverter('f32', dtype);
      if (!convert) throw new Error(`float32 does not convert to ${dtype}`);
      convert(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), bytes);
      yield bytes;
    },
  };
}

/** A weight of any dtype whose bytes are in memory; it streams in short blocks. */
export function bytesWeight(name: string, dtype: DType, shape: readonly number[], bytes: Uint8Array): Weight {
  return {
    name,
    dtype,
    shape,
    file: 'memory',
    async *stream(to) {
      const convert = blockConverter(dtype, to);
      if (!convert) throw new Error(`${dtype} does not convert to ${to}`);
      const [from, width] = [byteWidth(dtype), byteWidth(to)];
      for (let at = 0; at < bytes.length; at += 1000 * from) {
        const block = bytes.slice(at, at + 1000 * from);
        const converted = new Uint8Array((block.length / from) * width);
        convert(block, converted);
        yield converted;
      }
    },
  };
}

/** A weight that is known by its header alone: to read it is an error. */
export function unreadWeight(name: string, shape: readonly number[], dtype: DType = 'f16'): Weight {
  return {
    name,
    dtype,
    shape,
    file: 'header.safetensors',
    stream() {
      throw new Error(`${name} was read`);
    },
  };
}
