import { basename, dirname, join } from 'node:path';
import type { NetworkName } from '../convert/networks/networks.ts';
import { NotFoundError, RequestError } from '../errors.ts';
import { listFolder, pathKind } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { type ModelInFolder, modelsIn } from '../run/find-models.ts';

/** A folder of models to generate pictures with. */
export interface DrawingFolder {
  /** Folder that holds the models. */
  readonly path: string;
  /** Output folder of the conversion: the parent of an `onnx` or `Resources` folder, otherwise the folder itself. */
  readonly output: string;
  /** One model per network; chunks are preferred to a whole model, as in Apple's Swift package. */
  readonly models: ReadonlyMap<NetworkName, ModelInFolder>;
}

/** Subfolders of a conversion that an input may name. */
const SUBFOLDERS = ['onnx', 'Resources'];

/** Folder levels to search: ready-made Core ML repositories have `original/packages` and `split_einsum/compiled`. */
const LEVELS = 2;

/**
 * Finds the folder of models for an input: the input itself, the `onnx` or `Resources` of a conversion, or a folder of
 * a ready-made repository. The first with a UNet is taken, ONNX before Core ML because it runs without translation.
 * Throws `NotFoundError` when there is no UNet, `RequestError` when the only UNet needs more than a prompt.
 */
export async function findDrawingFolder(input: string): Promise<DrawingFolder> {
  const kind = await pathKind(input);
  if (kind === undefined) throw notFound(input, 'Name the output folder of a conversion.');
  const found: DrawingFolder[] = [];
  for await (const path of candidates(kind === 'folder' ? input : dirname(input))) {
    const folder = { path, output: outputOf(path), models: chooseModels(await modelsIn(path)) };
    if (folder.models.has('unet')) return folder;
    if (folder.models.size > 0) found.push(folder);
  }
  throw withoutUnet(input, new Set(found.flatMap(({ models }) => [...models.keys()])));
}

async function* candidates(input: string): AsyncGenerator<string> {
  yield join(input, 'onnx');
  yield input;
  yield join(input, 'Resources');
  let folders = [input];
  for (let level = 0; level < LEVELS; level++) {
    const below: string[] = [];
    for (const folder of folders)
      for (const name of await listFolder(folder))
        if (!name.startsWith('.') && (await pathKind(join(folder, name))) === 'folder')
          below.push(join(folder, name));
    yield* below;
    folders = below.filter((folder) => !/\.ml(package|modelc)$/.test(folder));
  }
}

function outputOf(path: string): string {
  return SUBFOLDERS.includes(basename(path)) ? dirname(path) : path;
}

function chooseModels(found: readonly ModelInFolder[]): ReadonlyMap<NetworkName, ModelInFolder> {
  const chosen = new Map<NetworkName, ModelInFolder>();
  // Names go before content: what is called otherwise may be somebody's copy.
  for (const model of found.toSorted((a, b) => Number(b.isNamed) - Number(a.isNamed))) {
    const { network, isNamed, isInChunks } = model;
    if (network !== undefined && ((isNamed && isInChunks) || !chosen.has(network)))
      chosen.set(network, model);
  }
  return chosen;
}

/** Returns the model of a network. Throws `NotFoundError` when the folder has none. */
export function requireModel({ path, models }: DrawingFolder, network: NetworkName): ModelInFolder {
  const found = models.get(network);
  if (found) return found;
  const part = network === 'text_encoder_2' ? 'text_encoder' : network;
  throw new NotFoundError({
    problem: `${path} has no ${network}.`,
    details: { 'it has': [...models.keys()].join(', ') },
    advice: `Convert it too: sdconvert --model-version … --convert-${part.replaceAll('_', '-')}`,
  });
}

function withoutUnet(input: string, networks: ReadonlySet<NetworkName>): NotFoundError | RequestError {
  const details = { 'it has': [...networks].join(', ') || 'no models' };
  if (networks.has('control-unet'))
    return new RequestError({
      problem: `${input} has only a UNet that takes the residuals of a ControlNet, which generate does not provide.`,
      details,
      advice: 'Convert the checkpoint again without --unet-support-controlnet.',
    });
  if (networks.has('refiner'))
    return new RequestError({
      problem: `${input} has only a refiner, which finishes what a base model starts: generate cannot start with it.`,
      details,
      advice: 'Convert the base model, too.',
    });
  return new NotFoundError({
    problem: `${input} has no unet.`,
    details,
    advice: 'Convert it too: sdconvert --model-version … --convert-unet',
  });
}
