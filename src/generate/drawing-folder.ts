import { basename, dirname, join, resolve } from 'node:path';
import type { NetworkName } from '../convert/networks/networks.ts';
import { NotFoundError } from '../errors.ts';
import { formatOfEnding } from '../formats/format.ts';
import { locateArtifact } from '../formats/open.ts';
import { isConversion } from '../formats/provenance.ts';
import { listFolder, pathKind } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { type ModelInFolder, modelsIn } from '../run/find-models.ts';

/** A folder of models to generate pictures with. */
export interface DrawingFolder {
  /** Folder that holds the models. */
  readonly path: string;
  /** Output folder of the conversion: the parent of one of its subfolders, otherwise the folder itself. */
  readonly output: string;
  /** One model per network; chunks are preferred to a whole model, as in Apple's Swift package. */
  readonly models: ReadonlyMap<NetworkName, ModelInFolder>;
}

/** Subfolders of a conversion that are told by their names, where it has no record. */
const SUBFOLDERS = ['onnx', 'Resources'];

/** Folder levels to search: ready-made Core ML repositories have `original/packages` and `split_einsum/compiled`. */
const LEVELS = 2;

/**
 * Finds the folder of models for an input: the input itself, the `onnx` or `Resources` of a conversion, or a folder of
 * a client or a ready-made repository. The first with one of the `wanted` UNets is taken, ONNX before Core ML because it runs without
 * translation. One whose UNet does not suit is taken only where there is no other: by default Core AI's, for
 * in XL's less can be chosen. Throws `NotFoundError` when there is none.
 */
export async function findDrawingFolder(
  input: string,
  wanted: readonly DrawingUnet[],
  suits: (unet: ModelInFolder) => boolean = ({ format }) => format !== 'aimodel',
): Promise<DrawingFolder> {
  const kind = await pathKind(input);
  if (kind === undefined) throw notFound(input, 'Name the output folder of a conversion.');
  if (kind === 'file' && !(await locateArtifact(input)))
    throw new NotFoundError({
      problem: `${input} is no model.`,
      advice: 'Name the output folder of a conversion.',
    });
  const found: DrawingFolder[] = [];
  for await (const path of candidates(kind === 'folder' ? input : dirname(input))) {
    const folder = { path, output: await outputOf(path), models: chooseModels(await modelsIn(path)) };
    const unets = wanted.flatMap((network) => folder.models.get(network) ?? []);
    if (unets.some(suits)) return folder;
    if (folder.models.size > 0) found.push(folder);
  }
  const other = found.find(({ models }) => wanted.some((network) => models.has(network)));
  if (other) return other;
  throw withoutUnet(input, wanted, new Set(found.flatMap(({ models }) => [...models.keys()])));
}

/** The networks that denoise. */
export type DrawingUnet = 'unet' | 'control-unet' | 'refiner';

/** Returns the first of the `wanted` UNets that a folder has. Throws `NotFoundError` when it has none. */
export function chooseUnet(folder: DrawingFolder, wanted: readonly DrawingUnet[]): DrawingUnet {
  const found = wanted.find((network) => folder.models.has(network));
  if (found) return found;
  throw withoutUnet(folder.path, wanted, new Set(folder.models.keys()));
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
    folders = below.filter((folder) => formatOfEnding(folder) === undefined);
  }
}

async function outputOf(path: string): Promise<string> {
  const parent = dirname(resolve(path));
  if (SUBFOLDERS.includes(basename(path))) return parent;
  return !(await isConversion(path)) && (await isConversion(parent)) ? parent : path;
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

function withoutUnet(
  input: string,
  [wanted = 'unet']: readonly DrawingUnet[],
  networks: ReadonlySet<NetworkName>,
): NotFoundError {
  const details = { 'it has': [...networks].join(', ') || 'no models' };
  if (wanted === 'control-unet')
    return new NotFoundError({
      problem: `${input} has no UNet that takes the residuals of a ControlNet.`,
      details,
      advice: 'Convert one: sdconvert --model-version … --convert-unet --unet-support-controlnet',
    });
  if (wanted === 'unet' && networks.has('control-unet'))
    return new NotFoundError({
      problem: `${input} has only a UNet that takes the residuals of a ControlNet.`,
      details,
      advice:
        'Pass --controlnet and --controlnet-inputs, or convert again without --unet-support-controlnet.',
    });
  return new NotFoundError({
    problem: `${input} has no ${wanted}.`,
    details,
    advice:
      wanted === 'refiner'
        ? 'Convert one: sdconvert --model-version … --refiner-version …'
        : 'Convert it too: sdconvert --model-version … --convert-unet',
  });
}
