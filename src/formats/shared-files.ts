import type { PlannedFile } from './artifact.ts';

/**
 * The files of an artifact that its twin has, by the twin's names. Both are of one graph, so their weights are in the same order, and
 * weight files of the same size are the same.
 */
export function sharedFiles(
  files: readonly PlannedFile[],
  twinFiles: readonly PlannedFile[],
): Readonly<Record<string, string>> {
  const weightsOf = (all: readonly PlannedFile[]) => all.filter(({ name }) => !isModelFile(name));
  const others = weightsOf(twinFiles);
  const shared = weightsOf(files).flatMap(({ name, byteLength }, index) => {
    const other = others[index];
    return other?.byteLength === byteLength ? [[name, other.name] as const] : [];
  });
  return Object.fromEntries(shared);
}

/** Whether a file describes a model, which differs from client to client, or holds its weights. */
function isModelFile(name: string): boolean {
  return /(^|\/)(model\.onnx|model\.mlmodel|Manifest\.json)$/.test(name);
}
