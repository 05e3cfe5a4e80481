import { join, parse, resolve } from 'node:path';
import { NotFoundError } from '../errors.ts';
import { exists, pathKind } from '../io/disk.ts';

/** A model on the disk: a package or compiled bundle of Core ML by its folder, an ONNX model by its file. */
export interface LocatedModel {
  readonly kind: 'mlpackage' | 'mlmodelc' | 'onnx';
  readonly path: string;
}

/** The model that a path stands for: a `.mlpackage`, a `.mlmodelc`, an ONNX file or the folder of a `model.onnx`. Throws `NotFoundError`. */
export async function locateModel(path: string): Promise<LocatedModel> {
  const { ext } = parse(resolve(path));
  if (ext === '.mlpackage') return { kind: 'mlpackage', path };
  if (ext === '.mlmodelc') return { kind: 'mlmodelc', path };
  const kind = await pathKind(path);
  if (kind === 'file') return { kind: 'onnx', path };
  const inside = join(path, 'model.onnx');
  if (await exists(inside)) return { kind: 'onnx', path: inside };
  throw new NotFoundError({
    problem:
      kind === 'folder'
        ? `${path} has no model.onnx, and is no .mlpackage or .mlmodelc.`
        : `${path} does not exist.`,
    advice: 'Name a model.onnx or its folder, e.g. out/onnx/unet, or a .mlpackage.',
  });
}
