import type { ByteSource } from '../../../io/bytes.ts';
import { streamBytes } from '../../../io/stream-bytes.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';

/** A weight that lies in a program's file, which must be open while it streams. */
export interface StoredTensor extends TensorStream {
  readonly file: ByteSource;
  /** First byte, counted from the beginning of the file. */
  readonly offset: number;
}

/** A stretch of a program's file. */
export function storedTensor(
  file: ByteSource,
  name: string,
  offset: number,
  byteLength: number,
): StoredTensor {
  return { name, byteLength, file, offset, stream: () => streamBytes(file, offset, byteLength) };
}

/** Whether a tensor lies in a program's file: those of a program that was built stream from elsewhere. */
export function isStored(tensor: TensorStream): tensor is StoredTensor {
  return 'file' in tensor && 'offset' in tensor;
}
