import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import { sdShapes } from './sd-shapes.ts';

/** What to do to the float32 values of weights, by name. */
export type Changes = Readonly<Record<string, (values: Float32Array) => void>>;

/** Copies `sd-shapes` to `folder`, with one of its files in float32 and some of its weights changed. */
export async function changedCheckpoint(folder: string, file: string, changes: Changes): Promise<string> {
  cpSync(sdShapes, folder, { recursive: true });
  const { weights, close } = await openSafetensors(join(sdShapes, file));
  const tensors = [];
  for (const [name, weight] of weights) {
    const { data } = await readTensor(weight, 'f32');
    changes[name]?.(data);
    tensors.push({ name, dtype: 'f32', shape: weight.shape, data } as const);
  }
  await close();
  await writeSafetensors(join(folder, file), tensors);
  return folder;
}
