import { readBytes } from '../io/disk.ts';
import { createScratchFile } from '../io/stages/scratch.ts';
import { bytesOf, type TensorData, tensorOf } from './tensor-data.ts';

/** A tensor in a temporary file of its own: its elements, row-major, as little-endian bytes. */
export interface StoredTensor extends Pick<TensorData, 'dtype' | 'shape'> {
  readonly path: string;
}

/** Writes a tensor to a file. Throws `DiskSpaceError` when the disk is full. */
export async function storeTensor(tensor: TensorData, path: string): Promise<StoredTensor> {
  const sink = await createScratchFile(path);
  await sink.write(bytesOf(tensor), 0).finally(() => sink.close());
  const { dtype, shape } = tensor;
  return { dtype, shape, path };
}

/** Reads a tensor into memory. Throws `NotFoundError` when its file is gone. */
export async function readStored({ dtype, shape, path }: StoredTensor): Promise<TensorData> {
  return tensorOf(dtype, shape, await readBytes(path));
}
