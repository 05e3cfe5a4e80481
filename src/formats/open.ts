import { join } from 'node:path';
import { FileFormatError, type SdConvertError, UnsupportedModelError } from '../errors.ts';
import { listFolder, openFile, pathKind } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { sniff } from '../io/sniff.ts';
import type { FormatRoom, StoredArtifact } from './artifact.ts';
import { coreAiRoom } from './coreai/coreai-artifact.ts';
import { compiledRoom } from './coreml/compiled-artifact.ts';
import { packageRoom } from './coreml/package-artifact.ts';
import { endings, type Format, formatNames, formatOfEnding } from './format.ts';
import { onnxRoom } from './onnx/onnx-artifact.ts';

/** Every format. */
export const formats: { readonly [F in Format]: FormatRoom<F> } = {
  onnx: onnxRoom,
  mlpackage: packageRoom,
  mlmodelc: compiledRoom,
  aimodel: coreAiRoom,
};

/** An artifact that was found. */
export interface LocatedArtifact {
  readonly format: Format;
  /** The folder or file that it is. */
  readonly path: string;
}

/** Description of the paths that `openArtifact` takes, for error texts. */
export const artifactPlaces = `an .onnx file, a folder that holds a model.onnx, a ${endings.mlpackage}, a ${endings.mlmodelc} or an ${endings.aimodel}`;

/**
 * Finds the artifact at a path by its content, or else by its ending (a package that lost a file is a damaged package).
 * `undefined` where there is none.
 */
export async function locateArtifact(path: string): Promise<LocatedArtifact | undefined> {
  const kind = await pathKind(path);
  if (kind === undefined) return undefined;
  for (const format of formatNames) {
    const found = await formats[format].locate(path, kind);
    if (found !== undefined) return { format, path: found };
  }
  const format = formatOfEnding(path);
  return format && { format, path };
}

/**
 * Opens the artifact at a path, in any format, reading no more than is needed to recognise it. `advice` is for the error
 * where nothing exists. Throws `NotFoundError`, `UnsupportedModelError` or `FileFormatError` where there is no artifact.
 */
export async function openArtifact(path: string, advice?: string): Promise<StoredArtifact> {
  const located = await locateArtifact(path);
  if (!located) throw (await pathKind(path)) === undefined ? notFound(path, advice) : await noArtifact(path);
  return openLocated(located);
}

/** Opens an artifact that `locateArtifact` found. */
export function openLocated({ format, path }: LocatedArtifact): StoredArtifact {
  return formats[format].open(path);
}

/** An artifact in a folder. */
export interface ArtifactInFolder extends LocatedArtifact {
  /** The file or folder in it: of ONNX, that in which the `model.onnx` is. */
  readonly place: string;
}

/** Finds the artifacts in a folder, sorted by name. */
export async function artifactsIn(folder: string): Promise<ArtifactInFolder[]> {
  const found: ArtifactInFolder[] = [];
  for (const name of await listFolder(folder)) {
    const place = join(folder, name);
    // A file is looked into only where it is named itself.
    const isCandidate = (await pathKind(place)) === 'folder' || formatOfEnding(place) !== undefined;
    const located = isCandidate ? await locateArtifact(place) : undefined;
    if (located) found.push({ ...located, place });
  }
  return found;
}

/** Opens the artifact at a path for `use`, and closes it afterwards. Throws as `openArtifact` does. */
export async function withArtifact<T>(
  path: string,
  use: (artifact: StoredArtifact) => Promise<T>,
  advice?: string,
): Promise<T> {
  const artifact = await openArtifact(path, advice);
  try {
    return await use(artifact);
  } finally {
    await artifact.close();
  }
}

/** Makes the error for a path that is no artifact, naming what it is. */
async function noArtifact(path: string): Promise<SdConvertError> {
  if ((await pathKind(path)) === 'file') return noArtifactInFile(path);
  const names = await listFolder(path);
  const [inside] = await artifactsIn(path);
  const holds = names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '');
  return new UnsupportedModelError({
    problem: `${path} is not a model that can be opened.`,
    details: {
      expected: artifactPlaces,
      found: names.length > 0 ? `a folder with ${holds}` : 'an empty folder',
    },
    advice: inside
      ? `Name one of the models in it, such as ${inside.place}.`
      : 'Name the folder or file of a converted model.',
  });
}

async function noArtifactInFile(path: string): Promise<SdConvertError> {
  const file = await openFile(path);
  const start = new Uint8Array(Math.min(file.size, 512));
  await file.read(start, 0).finally(() => file.close());
  const finding = sniff(start);
  const problem = `${path} is not a model that can be opened.`;
  const details = { expected: artifactPlaces };
  if (finding)
    return new FileFormatError({
      problem,
      details: { ...details, found: finding.what },
      advice: finding.advice,
    });
  return new UnsupportedModelError({
    problem,
    details: { ...details, found: file.size === 0 ? 'an empty file' : 'a file of another kind' },
    advice: 'Name the folder or file of a converted model.',
  });
}
