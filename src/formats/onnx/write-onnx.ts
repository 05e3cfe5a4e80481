import { join } from 'node:path';
import { writeHashed } from '../../io/write-hashed.ts';
import { countedBytes } from '../../weights/tensor-stream.ts';
import type { PlannedFile, WrittenFile } from '../artifact.ts';
import type { OnnxModel } from './build-model.ts';
import { encodeModel, type ModelProto } from './proto.ts';

/** Lists the files that `writeOnnx` writes, with exact sizes. */
export function plannedFiles({ proto, dataFiles }: OnnxModel): PlannedFile[] {
  const model = { name: 'model.onnx', byteLength: encode(proto).length };
  return [model, ...dataFiles.map(({ location, byteLength }) => ({ name: location, byteLength }))];
}

/**
 * Writes `model.onnx` and its data files into `folder`, streaming one block of weights at a time; the model comes last,
 * when its data is complete. `onBytes` gets the size of each block; an error it throws stops the work and leaves
 * no half file. Throws `DiskSpaceError` and what reading the weights throws.
 */
export async function writeOnnx(
  model: OnnxModel,
  folder: string,
  onBytes: (count: number) => void,
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  for (const { location, tensors } of model.dataFiles) {
    const file = await writeHashed(join(folder, location), async (write) => {
      for (const { tensor, offset } of tensors) {
        let position = offset;
        for await (const block of countedBytes(tensor)) {
          await write(block, position);
          position += block.length;
          onBytes(block.length);
        }
      }
    });
    written.push({ name: location, ...file });
  }
  const bytes = encode(model.proto);
  const file = await writeHashed(join(folder, 'model.onnx'), (write) => write(bytes, 0));
  onBytes(bytes.length);
  return [{ name: 'model.onnx', ...file }, ...written];
}

function encode(proto: ModelProto): Uint8Array {
  return encodeModel(proto);
}
