import { memoryStream } from '../../weights/tensor-stream.ts';
import type { FileContents, PlannedFile, WrittenFile } from '../artifact.ts';
import { writeFiles } from '../write-files.ts';
import type { OnnxModel } from './build-model.ts';
import { endOf, oneFileParts } from './edges/one-file.ts';
import { encodeModel } from './proto.ts';

/** Lists the files that `writeOnnx` writes, with exact sizes. */
export function plannedFiles(onnx: OnnxModel): PlannedFile[] {
  const { proto, dataFiles, isOneFile } = onnx;
  if (isOneFile) return [{ name: 'model.onnx', byteLength: endOf(oneFileParts(onnx)) }];
  const model = { name: 'model.onnx', byteLength: encodeModel(proto).length };
  return [model, ...dataFiles.map(({ location, byteLength }) => ({ name: location, byteLength }))];
}

/** Returns the contents of `model.onnx` and its data files. No weight is read. */
export function onnxContents(onnx: OnnxModel): FileContents[] {
  const { proto, dataFiles, isOneFile } = onnx;
  if (isOneFile) return [{ name: 'model.onnx', parts: oneFileParts(onnx) }];
  const model = memoryStream('model.onnx', encodeModel(proto));
  return [
    { name: model.name, parts: [{ tensor: model, offset: 0 }] },
    // Tensors with one stream share their place.
    ...dataFiles.map(({ location, tensors }) => ({
      name: location,
      parts: tensors.filter(({ tensor }, index) => tensor.stream !== tensors[index - 1]?.tensor.stream),
    })),
  ];
}

/**
 * Writes `model.onnx` and its data files into `folder`, streaming one block of weights at a time. `onBytes` gets the size
 * of each block; an error it throws stops the work and leaves no half file. Throws `DiskSpaceError` and what reading the
 * weights throws.
 */
export async function writeOnnx(
  model: OnnxModel,
  folder: string,
  onBytes: (count: number) => void,
): Promise<readonly WrittenFile[]> {
  return writeFiles(folder, onnxContents(model), onBytes);
}
