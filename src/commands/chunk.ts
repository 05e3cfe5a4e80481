import { basename, dirname, join, resolve } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import { OutputExistsError, RequestError } from '../errors.ts';
import { type Artifact, type StoredArtifact, totalBytes, type WrittenFile } from '../formats/artifact.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { withArtifact } from '../formats/open.ts';
import { forgetProvenance } from '../formats/provenance.ts';
import { createFolder, listFolder, pathKind, removePath } from '../io/disk.ts';
import { checkRequest } from './check-request.ts';
import { recordOfWhole } from './chunked-record.ts';
import { whileOutputsLocked } from './in-output.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** What to cut, and how. */
export interface ChunkRequest {
  /** A `model.onnx` or the folder it is in, a `.mlpackage`, or a `.mlmodelc`. */
  readonly artifact: string;
  /** The folder that the chunks go into; beside the artifact when left out. */
  readonly output?: string | undefined;
  /** Bytes of weights that no chunk may exceed. */
  readonly maxChunkBytes: number;
  /** Whether the artifact goes once all chunks are complete. */
  readonly removeOriginal: boolean;
  /** Whether to replace chunks that are there. */
  readonly force: boolean;
}

/** What `chunkArtifact` does when nothing else is asked for. */
export const chunkDefaults = {
  maxChunkBytes: 1e9,
  removeOriginal: false,
  force: false,
} as const satisfies Partial<ChunkRequest>;

/** Only `artifact` is needed. */
export type ChunkOptions = OptionsOf<ChunkRequest, typeof chunkDefaults>;

/** A chunk that was written. */
export interface WrittenChunk {
  readonly path: string;
  readonly byteLength: number;
}

/**
 * Cuts an existing model into chunks beside it or in a folder (`unet` → `unet_chunk1`, `unet_chunk2`, …; `X.mlpackage` →
 * `X_chunk1.mlpackage`, …); its weights are copied, never decoded, and the model itself stays unless it is to go. The
 * chunks appear when all are complete, the first one last: where there is none, there is no chain, and what else is left
 * of a run that was killed is replaced. A note tells when a Core ML model needs more chunks than apps load; the record of
 * an output and what was compiled in it follow. Throws `ChunkBudgetError`, `OutputExistsError`, `InterruptedError`,
 * `NotFoundError`, `UnsupportedModelError` for a model that cannot be cut, `RequestError` while another run writes there,
 * and what reading and writing throw.
 */
export async function chunkArtifact(options: ChunkOptions, context: Context = {}): Promise<WrittenChunk[]> {
  checkRequest('chunk', options);
  const request = withDefaults<ChunkRequest, typeof chunkDefaults>(chunkDefaults, options);
  return withArtifact(request.artifact, (artifact) => {
    const whole = artifact.format === 'onnx' ? dirname(resolve(artifact.path)) : resolve(artifact.path);
    const place = (index: number) => chunkPlace(artifact, request.output, index);
    const paths = request.removeOriginal ? [whole, place(1)] : [place(1)];
    return whileOutputsLocked(paths, () => cutInto(place, whole, artifact, request, context));
  });
}

/** A chunk that is to be written. */
interface PlannedChunk extends WrittenChunk {
  readonly chunk: Artifact;
}

/** Where a chunk goes, from 1 on. */
function chunkPlace(artifact: StoredArtifact, output: string | undefined, index: number): string {
  const beside = artifact.chunkPath({ index });
  return output === undefined ? beside : join(output, basename(beside));
}

async function cutInto(
  place: (index: number) => string,
  whole: string,
  artifact: StoredArtifact,
  { artifact: path, maxChunkBytes, removeOriginal, force }: ChunkRequest,
  context: Context,
): Promise<WrittenChunk[]> {
  const model = await artifact.open();
  if (model.name.chunk) throw isChunk(path);
  if (removeOriginal && artifact.format === 'onnx' && basename(artifact.path) !== 'model.onnx')
    throw notAFolder(path);
  const { chunks, note } = model.cut(maxChunkBytes);
  const planned = chunks.map((chunk, index) => ({
    chunk,
    path: place(index + 1),
    byteLength: totalBytes(chunk.files()),
  }));
  const present = await presentChunks(place);
  const first = place(1);
  if (present.includes(first) && !force) throw alreadyThere(first);
  if (note) context.onProgress?.({ type: 'note', message: note });

  const record = await recordOfWhole(whole);
  const written = await writeChain(planned, present, artifact, context);
  const results = planned.map(({ path: to, byteLength }, index) => ({
    path: to,
    byteLength,
    files: written[index] ?? [],
  }));
  await record.write({ chunks: results, maxChunkBytes });
  await artifact.close(); // before what it was read from goes
  if (removeOriginal) {
    await forgetProvenance(whole);
    await removePath(whole);
  }
  await record.refresh({ chunks: results, replaced: present, removed: removeOriginal }, context);
  return results.map(({ path: to, byteLength }) => ({ path: to, byteLength }));
}

/**
 * Writes the chunks in the place of those that are present. Each grows within the one before it, so that all are complete
 * before one appears, and the first appears last.
 */
async function writeChain(
  planned: readonly PlannedChunk[],
  present: readonly string[],
  artifact: StoredArtifact,
  context: Context,
): Promise<readonly (readonly WrittenFile[])[]> {
  const total = planned.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const onBytes = progressOf(total, context);
  const written: (readonly WrittenFile[])[] = [];
  const writeFrom = async (index: number): Promise<void> => {
    const next = planned[index];
    if (!next) return removeChain(present);
    await createFolder(next.path, async (growing) => {
      written[index] = await next.chunk.write(growing, (bytes) => onBytes(basename(next.path), bytes));
      await artifact.complete(growing, { inPlace: false });
      await writeFrom(index + 1);
    });
  };
  await writeFrom(0);
  return written;
}

/** Removes the chunks of an earlier cut, the first one first: a chain must not end in a chunk of another cut. */
async function removeChain(present: readonly string[]): Promise<void> {
  const isFirst = (path: string): boolean => parsePath(path).chunk?.index === 1;
  for (const path of [...present.filter(isFirst), ...present.filter((each) => !isFirst(each))]) {
    await forgetProvenance(path);
    await removePath(path);
  }
}

/** Tells of bytes as they are written, and stops the work when it is interrupted. */
function progressOf(total: number, { onProgress, signal }: Context): (what: string, bytes: number) => void {
  let done = 0;
  return (what, bytes) => {
    throwIfInterrupted(signal);
    done += bytes;
    onProgress?.({ type: 'progress', stage: 'chunk', what, done, total, unit: 'bytes' });
  };
}

/** The chunks of earlier cuts that are there; those of one that was killed have no first. */
async function presentChunks(place: (index: number) => string): Promise<string[]> {
  const folder = dirname(resolve(place(1)));
  if ((await pathKind(folder)) !== 'folder') return [];
  return (await listFolder(folder)).flatMap((name) => {
    const { chunk } = parsePath(name);
    const path = chunk && place(chunk.index);
    return path !== undefined && basename(path) === name ? [path] : [];
  });
}

function notAFolder(path: string): RequestError {
  return new RequestError({
    problem: `${path} cannot be removed with what belongs to it: only what is called model.onnx can, with its folder.`,
    advice: 'Leave out --remove-original.',
  });
}

function isChunk(path: string): RequestError {
  return new RequestError({
    problem: `${path} is a chunk already.`,
    advice: 'Cut the whole model, with a smaller --max-chunk-size.',
  });
}

function alreadyThere(path: string): OutputExistsError {
  return new OutputExistsError({ problem: `${path} exists already.`, advice: 'Pass --force to replace it.' });
}
