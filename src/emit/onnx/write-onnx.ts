import { join } from 'node:path';
import { createFile } from '../../weights/disk.ts';
import type { OnnxModel } from './build-model.ts';
import type { DataFile } from './external-data.ts';
import { type ModelProto, onnx } from './proto.ts';

/** A file that will be or has been written, and its exact size. */
export interface PlannedFile {
  /** Name relative to the folder of the model. */
  readonly name: string;
  readonly byteLength: number;
}

/** What `writeOnnx` writes, with exact sizes. */
export function plannedFiles({ proto, dataFiles }: OnnxModel): PlannedFile[] {
  const model = { name: 'model.onnx', byteLength: encode(proto).length };
  return [model, ...dataFiles.map(({ location, byteLength }) => ({ name: location, byteLength }))];
}

/**
 * Writes `model.onnx` and its data files into `folder`, streaming one block of weights at a time; the model comes last,
 * when its data is complete. `onBytes` is told how many bytes each block had. Throws `DiskSpaceError` and what reading the weights throws.
 */
export async function writeOnnx(model: OnnxModel, folder: string, onBytes: (count: number) => void): Promise<void> {
  for (const file of model.dataFiles) await writeDataFile(file, join(folder, file.location), onBytes);
  const sink = await createFile(join(folder, 'model.onnx'));
  try {
    const bytes = encode(model.proto);
    await sink.write(bytes, 0);
    await sink.close();
    onBytes(bytes.length);
  } catch (error) {
    await sink.discard();
    throw error;
  }
}

async function writeDataFile({ tensors }: DataFile, path: string, onBytes: (count: number) => void): Promise<void> {
  const sink = await createFile(path);
  try {
    for (const { tensor, offset } of tensors) {
      let position = offset;
      for await (const block of tensor.stream()) {
        await sink.write(block, position);
        position += block.length;
        onBytes(block.length);
      }
      if (position !== offset + tensor.byteLength) throw new Error(`${tensor.name} gave ${position - offset} bytes instead of ${tensor.byteLength}`);
    }
    await sink.close();
  } catch (error) {
    await sink.discard();
    throw error;
  }
}

function encode(proto: ModelProto): Uint8Array {
  return onnx.ModelProto.encode(proto).finish();
}
