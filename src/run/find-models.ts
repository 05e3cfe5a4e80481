import { dirname, join } from 'node:path';
import type { NetworkName } from '../convert/networks/networks.ts';

import { NotFoundError, SdConvertError } from '../errors.ts';
import { parseName, parsePath, wholePath } from '../formats/artifact-id.ts';
import { artifactFolders, type Format, modelPlace, targetNames } from '../formats/format.ts';
import { artifactPlaces, artifactsIn, locateArtifact, openArtifact, withArtifact } from '../formats/open.ts';
import { pathKind } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { networkOfPorts } from './tensor-names.ts';

/** A written model: one artifact, or the chunks of one in order. */
export interface FoundModel {
  /** The network that it is, or else its name without `_chunk1` and ending. */
  readonly name: string;
  readonly paths: readonly string[];
  /** The folder in which the other models, and the configs, are looked for. */
  readonly root: string;
}

/** A model in a folder of models. */
export interface ModelInFolder extends FoundModel {
  readonly format: Format;
  /** By its name; where that tells nothing, by its inputs and outputs. */
  readonly network: NetworkName | undefined;
  readonly isNamed: boolean;
  readonly isInChunks: boolean;
}

/** Description of the paths that `findModels` takes, for error texts. */
export const modelPlaces = `${artifactPlaces}, or a folder of these`;

/**
 * The models that a path stands for: an `.onnx` file, a component's folder, a package, a chunk (then all chunks of its
 * model), a folder of such folders, or an output folder. Throws
 * `NotFoundError`, saying what was `expected`.
 */
export async function findModels(path: string, expected = modelPlaces): Promise<readonly FoundModel[]> {
  const kind = await pathKind(path);
  if (kind === undefined || (await locateArtifact(path)))
    return [await modelAt(path, kind !== undefined, expected)];
  const found: FoundModel[] = [];
  // In this order: of several models of a network the first one encodes prompts for the others, and Core AI's are arranged for Apple alone.
  for (const target of targetNames) found.push(...(await modelsIn(join(path, artifactFolders[target]))));
  found.push(...(await bundledControlNets(path)));
  if (found.length > 0) return found;
  throw new NotFoundError({
    problem: `${path} holds no model that can be run.`,
    details: { expected },
  });
}

/** The model that an artifact is or belongs to; of a path that is not there, the chunks that would be called so. */
async function modelAt(path: string, exists: boolean, expected: string): Promise<FoundModel> {
  const place = modelPlace(path);
  const siblings = await partsIn(dirname(place));
  const found = exists
    ? siblings.find(({ paths }) => paths.includes(place))
    : siblings.find(({ paths: [first], isInChunks }) => isInChunks && first && wholePath(first) === place);
  if (found) return identified(found);
  if (!exists) throw notFound(path, `Name ${expected}.`);
  return { name: nameOfModel(path), paths: [path], root: dirname(place) };
}

/** The compiled models in the `Resources` of an output folder: what devices load. */
export async function modelsInResources(output: string): Promise<readonly FoundModel[]> {
  const resources = join(output, 'Resources');
  return [...(await modelsIn(resources)), ...(await bundledControlNets(resources))];
}

/** The models that a path stands for, and those in its `Resources`: all that are compared. Throws as `findModels` does. */
export async function modelsToCompare(path: string): Promise<readonly FoundModel[]> {
  return [...(await findModels(path)), ...(await modelsInResources(path))];
}

/** The format that a model's artifacts are in. Throws as `openArtifact` does. */
export async function formatOfModel({ paths: [path = ''] }: Pick<FoundModel, 'paths'>): Promise<Format> {
  const artifact = await openArtifact(path); // nothing is read that would have to be closed
  return artifact.format;
}

/** The models that lie in a folder, chunks of one together and in order; none where there is no such folder. */
export async function modelsIn(root: string): Promise<ModelInFolder[]> {
  const models: ModelInFolder[] = [];
  for (const model of await partsIn(root)) models.push(await identified(model));
  return models;
}

type Parts = Omit<ModelInFolder, 'name' | 'isNamed'>;

/** The same, opened by nobody: their networks are known as far as their names tell them. */
async function partsIn(root: string): Promise<Parts[]> {
  if ((await pathKind(root)) !== 'folder') return [];
  const artifacts = (await artifactsIn(root)).map(({ format, place }) => ({
    format,
    place,
    named: parsePath(place),
  }));
  const models = Map.groupBy(artifacts, ({ place, named }) =>
    named.chunk ? `chunks of ${wholePath(place)}` : place,
  );
  return [...models.values()].flatMap((unsorted) => {
    const parts = unsorted.toSorted((a, b) => (a.named.chunk?.index ?? 0) - (b.named.chunk?.index ?? 0));
    return parts.slice(0, 1).map(({ format, named }) => ({
      format,
      network: named.network,
      isInChunks: named.chunk !== undefined,
      paths: parts.map((part) => part.place),
      root,
    }));
  });
}

async function identified(model: Parts): Promise<ModelInFolder> {
  const [first = ''] = model.paths;
  const network = model.network ?? (await networkInside(first));
  return {
    ...model,
    network,
    name: network ?? nameOfModel(first),
    isNamed: model.network !== undefined,
  };
}

/** The network of an artifact, or of the chunk that comes first, by its content; of a damaged one, none. */
async function networkInside(path: string): Promise<NetworkName | undefined> {
  try {
    const { network = '', inputs, outputs } = await withArtifact(path, (artifact) => artifact.facts());
    return parseName(network).network ?? networkOfPorts(inputs, outputs);
  } catch (error) {
    if (error instanceof SdConvertError) return undefined;
    throw error;
  }
}

function nameOfModel(path: string): string {
  const { network, whole } = parsePath(path);
  return network ?? whole;
}

/** Those of a Resources folder: `controlnet/X.mlmodelc`. */
async function bundledControlNets(path: string): Promise<FoundModel[]> {
  const folder = join(path, 'controlnet' satisfies NetworkName);
  // In an ONNX folder it is a model itself.
  return (await locateArtifact(folder)) ? [] : modelsIn(folder);
}
