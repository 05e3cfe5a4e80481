import { basename, dirname, join } from 'node:path';
import type { NetworkName } from '../convert/networks/networks.ts';
import { NotFoundError, RequestError } from '../errors.ts';
import { listFolder, pathKind } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { type ModelInFolder, modelsIn } from '../run/find-models.ts';

/** A folder with the models that pictures are drawn with. */
export interface DrawingFolder {
  /** Where the models are. */
  readonly path: string;
  /** The output folder of a conversion that it is or belongs to; else itself. */
  readonly output: string;
  /** One of each network; where it is there whole and in chunks, the chunks, as Apple's Swift package does. */
  readonly models: ReadonlyMap<NetworkName, ModelInFolder>;
}

/** Those of a conversion, of which any may be named. */
const OWN_FOLDERS = ['onnx', 'Resources'];

/** A ready-made repository's models are at `original/packages` or `split_einsum/compiled`. */
const LEVELS = 2;

/**
 * The folder of models that an input stands for: itself, a conversion's `onnx`, packages or `Resources`, or one of a
 * ready-made repository's. The first that has a UNet; ONNX goes first, as it runs as it is. Throws `NotFoundError` where
 * there is none, `RequestError` for UNets that take more than a prompt.
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
  return OWN_FOLDERS.includes(basename(path)) ? dirname(path) : path;
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

/** A network of a folder. Throws `NotFoundError` where it has none. */
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
      problem: `${input} has only a UNet that takes a ControlNet's residuals, which generate cannot give.`,
      details,
      advice: 'Convert the checkpoint without --unet-support-controlnet, too.',
    });
  if (networks.has('refiner'))
    return new RequestError({
      problem: `${input} has only a refiner, which continues what another UNet began: generate cannot begin with it.`,
      details,
      advice: 'Convert the base model, too.',
    });
  return new NotFoundError({
    problem: `${input} has no unet.`,
    details,
    advice: 'Convert it too: sdconvert --model-version … --convert-unet',
  });
}
