import type { DType } from './dtype.ts';
import type { Weight } from './weight.ts';

/**
 * The bytes of a tensor that come when they are needed, as often as they are asked for: all that what stores a tensor
 * has to know of it. A `Weight` of a checkpoint gives such streams in any dtype; what quantising makes of it gives others.
 */
export interface TensorStream {
  /** Name, in the file that is written or in an error. */
  readonly name: string;
  /** Exact number of bytes that `stream` gives. */
  readonly byteLength: number;
  /**
   * Streams the elements as little-endian bytes in row-major order; each block must be used before the next is requested. Tensors
   * with the same function have the same bytes.
   */
  stream(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Starts what can be computed before the tensor streams; a failure is thrown by `stream`. Left out where there is nothing. */
  prepare?(): void;
}

/** Returns the function that streams a weight in a dtype: always the same one, even if the weight was renamed or reshaped. */
export function streamIn(weight: Weight, dtype: DType): TensorStream['stream'] {
  const byDType = streams.get(weight.stream) ?? new Map<DType, TensorStream['stream']>();
  const stream = byDType.get(dtype) ?? (() => weight.stream(dtype));
  streams.set(weight.stream, byDType.set(dtype, stream));
  return stream;
}

const streams = new WeakMap<Weight['stream'], Map<DType, TensorStream['stream']>>();

/** Wraps bytes in memory. */
export function memoryStream(name: string, bytes: Uint8Array): TensorStream {
  return { name, byteLength: bytes.length, stream: () => [bytes] };
}

/** The bytes of a tensor, counted. Throws what its stream throws, and `Error` when it gives more or fewer bytes than it has. */
export async function* countedBytes(tensor: TensorStream): AsyncGenerator<Uint8Array> {
  const { name, byteLength } = tensor;
  let given = 0;
  for await (const block of tensor.stream()) {
    given += block.length;
    if (given > byteLength) break;
    yield block;
  }
  if (given !== byteLength) throw new Error(`${name} gave ${given} bytes instead of ${byteLength}`);
}

/** Reads a whole tensor into memory. Throws as `countedBytes` does. */
export async function readStream(tensor: TensorStream): Promise<Uint8Array> {
  const bytes = new Uint8Array(tensor.byteLength);
  let filled = 0;
  for await (const block of countedBytes(tensor)) {
    bytes.set(block, filled);
    filled += block.length;
  }
  return bytes;
}
