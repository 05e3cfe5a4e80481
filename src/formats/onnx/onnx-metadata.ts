import { type ModelName, parseChunkTitle, parseName, parsePath } from '../artifact-id.ts';
import type { ModelProto } from './proto.ts';

/** The metadata of an ONNX model, by key. */
export function metadataOf({ metadataProps }: ModelProto): Readonly<Record<string, string>> {
  return Object.fromEntries((metadataProps ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
}

/** Which model it says that it is, as ours do; where it says nothing, what its path says. */
export function nameInModel(proto: ModelProto, path: string): ModelName {
  const { model = '', chunk = '' } = metadataOf(proto);
  const { network } = parseName(model);
  const named = parsePath(path);
  const known = parseChunkTitle(chunk);
  // One that says its network would say its chunk, too.
  return network ? { ...named, network, chunk: known } : { ...named, chunk: known ?? named.chunk };
}
