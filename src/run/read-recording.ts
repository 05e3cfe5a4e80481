import { recognizeWeights } from '../checkpoint/recognize/weight-file-kind.ts';
import { FileFormatError } from '../errors.ts';
import { formatBytes } from '../text.ts';
import { byteSize } from '../weights/dtype.ts';
import { readTensors } from '../weights/read-tensors.ts';
import { openSafetensors } from '../weights/safetensors-file.ts';
import type { TensorData } from '../weights/tensor-data.ts';

/**
 * Recorded inputs or outputs of a model in memory, by name. Throws as `openSafetensors`, and `FileFormatError`, before any is read, for a
 * file of weights and for more than the memory that is free.
 */
export async function readRecording(path: string): Promise<Map<string, TensorData>> {
  const file = await openSafetensors(path);
  await file.close();
  if (recognizeWeights(file.weights, path))
    throw new FileFormatError({
      problem: `${path} holds weights, and not what a model takes and gives.`,
      advice: 'Name a recording, such as sdconvert run --record writes, or the whole checkpoint.',
    });
  const bytes = [...file.weights.values()].reduce((sum, { dtype, shape }) => sum + byteSize(shape, dtype), 0);
  const free = process.availableMemory();
  if (bytes > free)
    throw new FileFormatError({
      problem: `${path} holds ${formatBytes(bytes)} of tensors, and only ${formatBytes(free)} of memory are free.`,
      advice: 'Name a recording of fewer inputs and outputs.',
    });
  return readTensors(path);
}
