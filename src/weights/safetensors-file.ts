import type { ByteSource } from '../io/bytes.ts';
import { openFile } from '../io/disk.ts';
import { readSafetensorsHeader, type TensorEntry } from './safetensors-header.ts';
import { readAt, streamTensor } from './stream-tensor.ts';
import type { TensorsOfFile, WeightFile } from './tensors-of-file.ts';
import type { Weight } from './weight.ts';

/**
 * Opens a file that must be safetensors and checks its header. Throws `NotFoundError`, `FileFormatError` with what the
 * file really is, or `UnsupportedModelError` for numbers of a kind that is not converted.
 */
export async function openSafetensors(path: string): Promise<WeightFile> {
  const source = await openFile(path);
  try {
    return { path, size: source.size, ...(await readSafetensors(source)), close: () => source.close() };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The tensors of a safetensors file, in the order of the data. Throws as `openSafetensors` does. */
export async function readSafetensors(source: ByteSource): Promise<TensorsOfFile> {
  const { metadata, entries } = await readSafetensorsHeader(source);
  return { metadata, weights: new Map([...entries].map(([name, entry]) => [name, weightOf(entry, source)])) };
}

function weightOf({ name, dtype, shape, offset }: TensorEntry, source: ByteSource): Weight {
  const tensor = { name, dtype, shape, file: source.name };
  const read = readAt(source, offset, dtype);
  return { ...tensor, stream: (to) => streamTensor({ ...tensor, read }, to) };
}
