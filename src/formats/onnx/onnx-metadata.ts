import { type ModelName, parseChunkTitle, parseName, parsePath } from '../artifact-id.ts';
import type { ModelProto } from './proto.ts';

/** The metadata of an ONNX model, by key. */
export function metadataOf({ metadataProps }: ModelProto): Readonly<Record<string, string>> {
  return Object.fromEntries((metadataProps ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
}

/** Name of a model by its metadata, which our models have, or else by its path. */
export function nameInModel(proto: ModelProto, path: string): ModelName {
  const { model = '', chunk = '' } = metadataOf(proto);
  const { network } = parseName(model);
  const named = parsePath(path);
  const known = parseChunkTitle(chunk);
  // Metadata with a network would name a chunk, too.
  return network ? { ...named, network, chunk: known } : { ...named, chunk: known ?? named.chunk };
}
