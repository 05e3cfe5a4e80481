import { basename, dirname, join, resolve } from 'node:path';
import { type NetworkName, networkKind, networkKinds } from '../convert/networks/networks.ts';
import { CONTROLNET_PREFIX, swiftControlNetName, swiftNames } from './coreml/swift-names.ts';
import { endings, type Format, formatOfEnding, modelName } from './format.ts';

/** Identity of an artifact: a network of a checkpoint, or one of its chunks. */
export interface ArtifactId {
  readonly network: NetworkName;
  /** The whole network when left out. */
  readonly chunk?: Chunk | undefined;
}

/** Number of a chunk of a model. */
export interface Chunk {
  /** From 1 on. */
  readonly index: number;
  /** Number of chunks, where known: names do not say it. */
  readonly of?: number | undefined;
}

/**
 * Naming scheme: ours (`unet_chunk1`), those of packages as Apple's tool writes them
 * (`Stable_Diffusion_version_x_unet_chunk1`), or those that its Swift package loads (`UnetChunk1`).
 */
export type Naming =
  | { readonly by: 'sdconvert' }
  | {
      readonly by: 'apple' | 'swift';
      /** Hub id or name of the checkpoint; of a ControlNet, its own. */
      readonly origin: string;
    };

/** Identity as far as a name tells it. */
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

/** Pattern of names in any scheme: a chunk's number comes last. */
const NAME = /^(?<whole>.+?)(?:(?:_chunk|Chunk)(?<index>[1-9]\d*))?$/s;

/** A network's name, alone or after a prefix for its checkpoint. */
const NETWORK = new RegExp(
  `^(?:.*_)?(?<network>${CONTROLNET}_\\d+|${networkKinds.toSorted((a, b) => b.length - a.length).join('|')})$`,
  's',
);

/** Parses a name (without ending) as we, Apple's converter or its Swift package spell it; of any other name, the chunk. */
export function parseName(name: string): ModelName {
  const { whole = name, index } = NAME.exec(name)?.groups ?? {};
  return {
    network: networkNamed(whole),
    chunk: index === undefined ? undefined : { index: Number(index) },
    whole,
  };
}

/** Whether a conversion calls what it writes in a format so, without its ending: `parseName` also reads what others call theirs. */
export function isWrittenName(name: string, format: Format): boolean {
  const { network, chunk } = parseName(name);
  if (network === undefined) return false;
  const isAppleControlNet = name.startsWith(CONTROLNET_PREFIX);
  if (format === 'mlpackage') return isAppleControlNet || name.startsWith(APPLE_PREFIX);
  if (format === 'onnx') return name === nameOf({ network, chunk });
  const isSwift = name === nameOf({ network, chunk }, { by: 'swift', origin: '' });
  return isSwift || (format === 'aimodel' && isAppleControlNet);
}

function networkNamed(whole: string): NetworkName | undefined {
  if (whole.startsWith(CONTROLNET_PREFIX)) return CONTROLNET;
  const swift = [...swiftNames].find(([, name]) => name === whole);
  const network = swift?.[0] ?? NETWORK.exec(whole)?.groups?.network;
  return network as NetworkName | undefined; // as: a key of the table, or one of those in the pattern
}

/** Parses the name in a path; a compiled model in a folder `controlnet` is a ControlNet, whatever its name. */
export function parsePath(path: string): ModelName {
  const parsed = parseName(modelName(path));
  const isBundled = formatOfEnding(path) === 'mlmodelc' && basename(dirname(resolve(path))) === CONTROLNET;
  return isBundled ? { ...parsed, network: CONTROLNET } : parsed;
}

/** Path of the whole model of a chunk, which need not exist; other paths are returned as they are. */
export function wholePath(path: string): string {
  const format = formatOfEnding(path);
  const { chunk, whole } = parsePath(path);
  return chunk ? join(dirname(path), format ? `${whole}${endings[format]}` : whole) : path;
}

/** Checkpoint of a ControlNet's package by its name, without the prefix. */
export function controlNetOrigin(name: string): string {
  return name.startsWith(CONTROLNET_PREFIX) ? name.slice(CONTROLNET_PREFIX.length) : name;
}

/** Writes a chunk for an ONNX file's metadata: `chunk 1 of 2`. `parseChunkTitle` parses it. */
export function chunkTitle({ index, of }: Required<Chunk>): string {
  return `chunk ${index} of ${of}`;
}

/** Parses the chunk in an ONNX file's metadata. */
export function parseChunkTitle(title: string): Chunk | undefined {
  const [, index, of] = /^chunk (\d+) of (\d+)$/.exec(title) ?? [];
  return index === undefined ? undefined : { index: Number(index), of: Number(of) };
}
