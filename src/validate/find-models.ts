import { basename, dirname, join, resolve } from 'node:path';
import type { NetworkName } from '../convert/contracts/contract.ts';
import { NotFoundError } from '../errors.ts';
import { parsePath, wholePath } from '../formats/artifact-id.ts';
import { listFolder, pathKind } from '../io/disk.ts';
import { isRunnable } from '../run/open-runner.ts';

/** A written model: one artifact, or the chunks of one in order. */
export interface FoundModel {
  /** What its folder or file is called, without `_chunk1` and extension: `unet`. */
  readonly name: string;
  readonly paths: readonly string[];
  /** The folder in which the other models, and the configs, are looked for. */
  readonly root: string;
}

/** What `findModels` takes, in words. */
export const modelPlaces =
  'an .onnx file, a folder that holds a model.onnx, a .mlpackage, a .mlmodelc, or a folder of these';

/**
 * The models that a path stands for: an `.onnx` file, a component's folder, a package, a chunk (then all chunks of its model), a
 * folder of such folders, or an output folder with packages and an `onnx` folder. Throws `NotFoundError`, saying what was `expected`.
 */
export async function findModels(path: string, expected = modelPlaces): Promise<readonly FoundModel[]> {
  const kind = await pathKind(path);
  // A model.onnx is what its folder is.
  const place = kind === 'file' && basename(path) === 'model.onnx' ? dirname(path) : path;
  if (kind !== 'folder' || (await isRunnable(place))) {
    const siblings = await modelsIn(dirname(resolve(place)));
    // The path itself, or `unet` where only unet_chunk1 and so on are there.
    const found =
      siblings.find(({ paths }) => paths.includes(resolve(place))) ??
      siblings.find(
        ({ paths: [first] }) =>
          kind === undefined && first !== undefined && wholePath(first) === resolve(place),
      );
    if (found) return [found];
  } else {
    const found = [
      ...(await modelsIn(join(path, 'onnx'))),
      ...(await modelsIn(path)),
      ...(await bundledControlNets(path)),
    ];
    if (found.length > 0) return found;
  }
  throw new NotFoundError({
    problem: kind === undefined ? `${path} does not exist.` : `${path} holds no model that can be run.`,
    details: { expected },
  });
}

async function modelsIn(root: string): Promise<FoundModel[]> {
  if ((await pathKind(root)) !== 'folder') return [];
  const paths = (await listFolder(root)).map((name) => join(root, name));
  paths.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })); // chunk 10 after chunk 9
  const models = new Map<string, FoundModel & { readonly paths: string[] }>();
  for (const path of paths) {
    if (!(await isRunnable(path))) continue;
    const parsed = parsePath(path);
    const name = parsed.network ?? parsed.whole;
    const key = parsed.chunk ? `${name} in chunks` : path;
    const model = models.get(key) ?? { name, paths: [], root };
    model.paths.push(path);
    models.set(key, model);
  }
  return [...models.values()];
}

/** Those of a Resources folder: `controlnet/X.mlmodelc`. */
async function bundledControlNets(path: string): Promise<FoundModel[]> {
  const folder = join(path, CONTROLNET);
  if (await isRunnable(folder)) return []; // of an ONNX folder, where it is a model
  return modelsIn(folder);
}

const CONTROLNET = 'controlnet' satisfies NetworkName;
