import { checkArguments, text } from '../io/check-call.ts';
import { openSafetensors } from './safetensors-file.ts';
import { readTensor, type TensorData } from './tensor-data.ts';

/** Every tensor of a safetensors file in memory, by name, as it is stored. Throws as opening and reading it do. */
export async function readTensors(path: string): Promise<Map<string, TensorData>> {
  checkArguments('readSafetensors', { path: [path, text] });
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, TensorData>();
    for (const [name, weight] of file.weights) tensors.set(name, await readTensor(weight, weight.dtype));
    return tensors;
  } finally {
    await file.close();
  }
}
