import { basename, dirname, join, resolve } from 'node:path';
import { type NetworkName, networkKind, networkKinds } from '../convert/networks/networks.ts';
import { CONTROLNET_PREFIX, swiftControlNetName, swiftNames } from './coreml/swift-names.ts';
import { endings, formatOfEnding, modelName } from './format.ts';

/** Which model an artifact is: a network of a checkpoint, or one of its chunks. */
export interface ArtifactId {
  readonly network: NetworkName;
  /** The whole network when left out. */
  readonly chunk?: Chunk | undefined;
}

/** Which chunk of a model. */
export interface Chunk {
  /** From 1 on. */
  readonly index: number;
  /** How many there are, where it is known: names do not say it. */
  readonly of?: number | undefined;
}

/**
 * Whose names: ours (`unet_chunk1`), those of packages as Apple's tool writes them
 * (`Stable_Diffusion_version_x_unet_chunk1`), or those that its Swift package loads (`UnetChunk1`).
 */
export type Naming =
  | { readonly by: 'sdconvert' }
  | {
      readonly by: 'apple' | 'swift';
      /** Hub id or name of the checkpoint; of a ControlNet, its own. */
      readonly origin: string;
    };

/** What a name says. */
export interface ModelName {
  /** `undefined` where it names no network of Stable Diffusion. */
  readonly network?: NetworkName | undefined;
  readonly chunk?: Chunk | undefined;
  /** The name of the whole model: the same without the chunk. */
  readonly whole: string;
}

const APPLE_PREFIX = 'Stable_Diffusion_version_';
const CONTROLNET = 'controlnet' satisfies NetworkName;

/** The name of an artifact, without the ending of its format. `parseName` takes it apart again. */
export function nameOf(id: ArtifactId, naming: Naming = { by: 'sdconvert' }): string {
  const { network, chunk } = id;
  if (naming.by === 'swift') {
    const whole = swiftNames.get(networkKind(network)) ?? swiftControlNetName(naming.origin);
    return chunk ? `${whole}Chunk${chunk.index}` : whole;
  }
  if (naming.by === 'sdconvert') return chunkName(network, chunk);
  const isControlNet = networkKind(network) === CONTROLNET;
  const whole = isControlNet
    ? `${CONTROLNET_PREFIX}${naming.origin}`
    : `${APPLE_PREFIX}${naming.origin}_${network}`;
  return chunkName(whole.replaceAll('/', '_'), chunk);
}

/** One of the chunks that a model was cut into, from 0 on. */
export function chunkOf(name: ModelName, position: number, of: number): ModelName {
  return { ...name, chunk: { index: position + 1, of } };
}

/** The name of a chunk of a model of any name: `unet` → `unet_chunk1`. */
export function chunkName(whole: string, chunk: Chunk | undefined): string {
  return chunk ? `${whole}_chunk${chunk.index}` : whole;
}

/** A name of anybody's: a chunk's number comes last. */
const NAME = /^(?<whole>.+?)(?:(?:_chunk|Chunk)(?<index>[1-9]\d*))?$/s;

/** A network's name, alone or behind what it is made of. */
const NETWORK = new RegExp(
  `^(?:.*_)?(?<network>${CONTROLNET}_\\d+|${networkKinds.toSorted((a, b) => b.length - a.length).join('|')})$`,
  's',
);

/** What a name (without ending) says: ours, that of a package of Apple's tool, or that of its Swift package; any other has its chunk, too. */
export function parseName(name: string): ModelName {
  const { whole = name, index } = NAME.exec(name)?.groups ?? {};
  return {
    network: networkNamed(whole),
    chunk: index === undefined ? undefined : { index: Number(index) },
    whole,
  };
}

function networkNamed(whole: string): NetworkName | undefined {
  if (whole.startsWith(CONTROLNET_PREFIX)) return CONTROLNET;
  const swift = [...swiftNames].find(([, name]) => name === whole);
  const network = swift?.[0] ?? NETWORK.exec(whole)?.groups?.network;
  return network as NetworkName | undefined; // as: a key of the table, or one of those in the pattern
}

/** What a path says of the model at it; a compiled model in a folder `controlnet` is a ControlNet, whatever it is called. */
export function parsePath(path: string): ModelName {
  const parsed = parseName(modelName(path));
  const isBundled = formatOfEnding(path) === 'mlmodelc' && basename(dirname(resolve(path))) === CONTROLNET;
  return isBundled ? { ...parsed, network: CONTROLNET } : parsed;
}

/** Where the whole model of a chunk is, or would be; a path that is no chunk's stays. */
export function wholePath(path: string): string {
  const format = formatOfEnding(path);
  const { chunk, whole } = parsePath(path);
  return chunk ? join(dirname(path), format ? `${whole}${endings[format]}` : whole) : path;
}

/** What a ControlNet's package says it was made of: its name without the prefix. */
export function controlNetOrigin(name: string): string {
  return name.startsWith(CONTROLNET_PREFIX) ? name.slice(CONTROLNET_PREFIX.length) : name;
}

/** A chunk in the words of an ONNX file's metadata: `chunk 1 of 2`. `parseChunkTitle` reads them. */
export function chunkTitle({ index, of }: Required<Chunk>): string {
  return `chunk ${index} of ${of}`;
}

/** Which chunk an ONNX file's metadata says it is. */
export function parseChunkTitle(title: string): Chunk | undefined {
  const [, index, of] = /^chunk (\d+) of (\d+)$/.exec(title) ?? [];
  return index === undefined ? undefined : { index: Number(index), of: Number(of) };
}
