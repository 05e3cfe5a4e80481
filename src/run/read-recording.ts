import { FileFormatError } from '../errors.ts';
import { formatBytes } from '../text.ts';
import { byteSize } from '../weights/dtype.ts';
import { openSafetensors } from '../weights/safetensors-file.ts';
import { readTensor, type TensorData } from '../weights/tensor-data.ts';

/** Bytes of the inputs and outputs of the largest models, many times over: what holds more holds weights. */
const MOST = 2 ** 30;

/**
 * Recorded inputs or outputs of a model in memory, by name. Throws as `openSafetensors`, and `FileFormatError` for a file of weights, before
 * any is read.
 */
export async function readRecording(path: string): Promise<Map<string, TensorData>> {
  const file = await openSafetensors(path);
  try {
    const all = [...file.weights.values()];
    const bytes = all.reduce((sum, { dtype, shape }) => sum + byteSize(shape, dtype), 0);
    if (bytes > MOST)
      throw new FileFormatError({
        problem: `${path} holds ${formatBytes(bytes)} of tensors, and what a model takes and gives at most ${formatBytes(MOST)}.`,
        advice: 'Name a recording of inputs and outputs; of weights, the checkpoint that they are part of.',
      });
    const tensors = new Map<string, TensorData>();
    for (const weight of all) tensors.set(weight.name, await readTensor(weight, weight.dtype));
    return tensors;
  } finally {
    await file.close();
  }
}
