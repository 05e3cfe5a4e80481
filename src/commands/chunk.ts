import { basename, dirname, join, resolve } from 'node:path';
import { type FromHub, locateRequested, refuseInCache } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage, throwIfInterrupted } from '../context.ts';
import { RequestError } from '../errors.ts';
import { type Artifact, type StoredArtifact, totalBytes, type WrittenFile } from '../formats/artifact.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { damagedFiles } from '../formats/damage.ts';
import { withArtifact } from '../formats/open.ts';
import { forgetProvenance } from '../formats/replaced-paths.ts';
import { writeFiles } from '../formats/write-files.ts';
import { createFolders } from '../io/create-folders.ts';
import { listFolder, lookAtFile, pathKind, removePath } from '../io/disk.ts';
import { hashFile } from '../io/hashing/hash-file.ts';
import { isWithin } from '../io/path-from.ts';
import { realPlace } from '../io/real-place.ts';
import { count, formatBytes } from '../text.ts';
import { checkRequest } from './check-request.ts';
import { recordOfWhole } from './chunked-record.ts';
import { type Watched, whileOutputsLocked, whileOutputsStay } from './in-output.ts';
import { noteUnlikeRecord } from './note-unlike-record.ts';
import { type OptionsOf, withDefaults } from './options.ts';
import { refuseExisting, refuseOthersBeside } from './refuse-existing.ts';
import { refuseNested } from './refuse-nested.ts';

/** The model to cut, and how. */
export interface ChunkRequest extends FromHub {
  /** A `model.onnx` or its folder, a `.mlpackage`, or a `.mlmodelc`. */
  readonly artifact: string;
  /** Folder for the chunks; next to the artifact when left out. */
  readonly output?: string | undefined;
  /** Bytes of weights that no chunk may exceed. */
  readonly maxChunkBytes: number;
  /** Whether to remove the artifact once all chunks are complete. */
  readonly removeOriginal: boolean;
  /** Whether to replace existing chunks. */
  readonly force: boolean;
}

/** Defaults of `chunkArtifact`. */
export const chunkDefaults = {
  maxChunkBytes: 1e9,
  removeOriginal: false,
  force: false,
} as const satisfies Partial<ChunkRequest>;

/** Options of `chunkArtifact`; only `artifact` is required. */
export type ChunkOptions = OptionsOf<ChunkRequest, typeof chunkDefaults>;

/** A chunk that was written. */
export interface WrittenChunk {
  readonly path: string;
  readonly byteLength: number;
}

/**
 * Cuts an existing model into chunks next to it or in `output` (`unet` → `unet_chunk1`, `unet_chunk2`, …; `X.mlpackage` →
 * `X_chunk1.mlpackage`, …). Weights are copied, never decoded; the model itself stays unless `removeOriginal` is set. Chunks
 * appear together when all are complete, in the place of those of an earlier cut. A note warns when a Core ML model needs more chunks
 * than apps load. In a conversion's output, the record and the compiled models are updated. Throws `ChunkBudgetError`,
 * `OutputExistsError`, `InterruptedError`, `NotFoundError`, `UnsupportedModelError` for a model that cannot be cut,
 * `RequestError` while another run writes there, and what reading and writing throw.
 */
export async function chunkArtifact(options: ChunkOptions, context: Context = {}): Promise<WrittenChunk[]> {
  checkRequest('chunk', options);
  const given = withDefaults<ChunkRequest, typeof chunkDefaults>(chunkDefaults, options);
  if (given.output === undefined || given.removeOriginal) await refuseInCache(given.artifact);
  const request = await locateRequested(given, { artifact: 'models' }, context);
  await noteUnlikeRecord([request.artifact], context);
  return withArtifact(request.artifact, async (artifact) => {
    const whole = artifact.format === 'onnx' ? dirname(resolve(artifact.path)) : resolve(artifact.path);
    const place = (index: number) => chunkPlace(artifact, request.output, index);
    // Those of another cut may be of another number: it is the name of the whole that all cuts share.
    const set = join(dirname(place(1)), basename(whole));
    const paths = request.removeOriginal ? [whole, set] : [set];
    await refuseNested(artifact, place(1));
    if (request.removeOriginal) await refuseWithin(place(1), whole);
    return whileOutputsLocked(paths, () =>
      inStage('chunk', context, async () => {
        const output = await whileOutputsStay([request.artifact], (requireUnchanged) =>
          cutInto(place, whole, artifact, { ...request, requireUnchanged }, context),
        );
        const bytes = output.reduce((sum, { byteLength }) => sum + byteLength, 0);
        return { output, detail: `${count(output.length, 'chunk')}, ${formatBytes(bytes)}` };
      }),
    );
  });
}

/** A chunk before it is written. */
interface PlannedChunk extends WrittenChunk {
  readonly chunk: Artifact;
}

/** Path of a chunk; `index` counts from 1. */
function chunkPlace(artifact: StoredArtifact, output: string | undefined, index: number): string {
  const beside = artifact.chunkPath({ index });
  return output === undefined ? beside : join(output, basename(beside));
}

async function cutInto(
  place: (index: number) => string,
  whole: string,
  artifact: StoredArtifact,
  { artifact: path, maxChunkBytes, removeOriginal, force, requireUnchanged }: ChunkRequest & Watched,
  context: Context,
): Promise<WrittenChunk[]> {
  const model = await artifact.open();
  if (model.name.chunk) throw isChunk(path);
  if (removeOriginal && artifact.format === 'onnx' && basename(artifact.path) !== 'model.onnx')
    throw notAFolder(path);
  if (removeOriginal) await refuseOthersBeside(artifact, whole);
  const { chunks, note } = model.cut(maxChunkBytes);
  const planned = chunks.map((chunk, index) => ({
    chunk,
    path: place(index + 1),
    byteLength: totalBytes(chunk.files()),
  }));
  const record = await recordOfWhole(whole, place(1), context);
  const present = await presentChunks(place);
  const first = place(1);
  // A run that was killed before it recorded the chunks, or removed the original, is finished by the next one.
  const isBegun = await record.isBegun(planned);
  const isOfSizes = removeOriginal && !force && !isBegun && (await isThisCut(planned, present));
  const isUnfinished = isOfSizes || isBegun;
  for (const each of present) await refuseExisting(each, { force: force || isUnfinished || each !== first });
  if (note) context.onProgress?.({ type: 'note', message: note });

  const own = new Set(planned.map(({ path: to }) => resolve(to)));
  const gone = present.filter((each) => !own.has(resolve(each)));
  const written = await writeChain(planned, artifact, context, gone, async (files) => {
    await requireUnchanged();
    if (isOfSizes) await refuseOthers(planned, files);
    await record.begin(planned, gone);
  });
  const results = planned.map(({ path: to, byteLength }, index) => ({
    path: to,
    byteLength,
    files: written[index] ?? [],
  }));
  await record.write({ chunks: results, maxChunkBytes });
  await artifact.close(); // before its files are removed
  if (removeOriginal) {
    await forgetProvenance(whole);
    await removePath(whole);
  }
  await record.refresh({ chunks: results, replaced: present, removed: removeOriginal });
  return results.map(({ path: to, byteLength }) => ({ path: to, byteLength }));
}

/** Whether the chunks that are present are those of this cut, by the sizes of their files. */
async function isThisCut(planned: readonly PlannedChunk[], present: readonly string[]): Promise<boolean> {
  if (present.length !== planned.length) return false;
  for (const { path, chunk } of planned)
    for (const { name, byteLength } of chunk.files())
      if ((await lookAtFile(join(path, name)))?.size !== byteLength) return false;
  return true;
}

/** Throws `OutputExistsError` where chunks of the same sizes as those that were written hold something else: another model's. */
async function refuseOthers(
  planned: readonly PlannedChunk[],
  written: readonly (readonly WrittenFile[])[],
): Promise<void> {
  for (const [index, { path }] of planned.entries())
    for await (const _ of damagedFiles(path, written[index] ?? [], {
      hash: (file) => hashFile(file),
      since: 0,
    }))
      await refuseExisting(path, { force: false });
}

/** Writes the chunks, which appear together as those that are `gone` go; `begin` is called with their files before. */
async function writeChain(
  planned: readonly PlannedChunk[],
  artifact: StoredArtifact,
  context: Context,
  gone: readonly string[],
  begin: (written: readonly (readonly WrittenFile[])[]) => Promise<void>,
): Promise<readonly (readonly WrittenFile[])[]> {
  const total = planned.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const onBytes = progressOf(total, context);
  const written: (readonly WrittenFile[])[] = [];
  const fill = async (growing: readonly string[]): Promise<void> => {
    for (const [index, { path, chunk }] of planned.entries()) {
      const folder = growing[index] ?? path;
      const contents = await chunk.contents();
      written.push(await writeFiles(folder, contents, (bytes) => onBytes(basename(path), bytes)));
      await artifact.complete(folder, { inPlace: false });
    }
    await begin(written);
  };
  await createFolders(
    planned.map(({ path }) => path),
    fill,
    gone,
  );
  return written;
}

/** Reports bytes as they are written; throws when interrupted. */
function progressOf(total: number, { onProgress, signal }: Context): (what: string, bytes: number) => void {
  let done = 0;
  return (what, bytes) => {
    throwIfInterrupted(signal);
    done += bytes;
    onProgress?.({ type: 'progress', stage: 'chunk', what, done, total, unit: 'bytes' });
  };
}

/** Paths of existing chunks of earlier cuts; a cut that was killed has no first chunk. */
async function presentChunks(place: (index: number) => string): Promise<string[]> {
  const folder = dirname(resolve(place(1)));
  if ((await pathKind(folder)) !== 'folder') return [];
  return (await listFolder(folder)).flatMap((name) => {
    const { chunk } = parsePath(name);
    const path = chunk && place(chunk.index);
    return path !== undefined && basename(path) === name ? [path] : [];
  });
}

/** Throws `RequestError` for a chunk in the folder of the model that is to be removed. */
async function refuseWithin(path: string, whole: string): Promise<void> {
  if (!isWithin(await realPlace(path), await realPlace(whole))) return;
  throw new RequestError({
    problem: `${path} is in the folder of the model, and would be removed with it.`,
    advice: 'Name a folder elsewhere with -o, or leave out --remove-original.',
  });
}

function notAFolder(path: string): RequestError {
  return new RequestError({
    problem: `${path} cannot be removed: its folder may hold other models. Only a model.onnx is removed, with its folder.`,
    advice: 'Leave out --remove-original.',
  });
}

function isChunk(path: string): RequestError {
  return new RequestError({
    problem: `${path} is already a chunk.`,
    advice: 'Cut the whole model, with a smaller --max-chunk-size.',
  });
}
