import type { ByteSource } from '../io/bytes.ts';
import { openFile } from '../io/disk.ts';
import { weightFormat } from '../io/sniff.ts';
import { readGguf } from './gguf/gguf-file.ts';
import { readSafetensors } from './safetensors-file.ts';
import { withScales } from './scaled/with-scales.ts';
import type { TensorsOfFile, WeightFile } from './tensors-of-file.ts';
import { readTorchLegacy } from './torch/torch-legacy.ts';
import { readTorchZip } from './torch/torch-zip.ts';

/**
 * Opens a safetensors file, a PyTorch file (.ckpt, .bin, .pt, .pth) or a GGUF file, told apart by their first bytes and
 * never by their extension; scales of weights are applied to them. Nothing in a file is ever run. Throws
 * `NotFoundError`, `FileFormatError` that names the real format, or `UnsupportedModelError` for an intact file that is not
 * read.
 */
export async function openWeightFile(path: string): Promise<WeightFile> {
  const file = await openStoredTensors(path);
  try {
    return { ...file, weights: await withScales(file) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** As `openWeightFile`, with scales as tensors of their own: those of shards may be in another file than their weights. */
export async function openStoredTensors(path: string): Promise<WeightFile> {
  const source = await openFile(path);
  try {
    return { path, size: source.size, ...(await readTensors(source)), close: () => source.close() };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function readTensors(source: ByteSource): Promise<TensorsOfFile> {
  const start = new Uint8Array(Math.min(source.size, 16));
  await source.read(start, 0);
  switch (weightFormat(start)) {
    case 'torch-zip':
      return readTorchZip(source);
    case 'torch-legacy':
      return readTorchLegacy(source);
    case 'gguf':
      return readGguf(source);
    default:
      return readSafetensors(source); // which says what anything else is
  }
}
