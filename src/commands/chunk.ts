import { basename } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import { OutputExistsError, RequestError } from '../errors.ts';
import { type StoredArtifact, totalBytes } from '../formats/artifact.ts';
import { withArtifact } from '../formats/open.ts';
import { forgetProvenance } from '../formats/provenance.ts';
import { createFolder, exists, removePath } from '../io/disk.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** What to cut, and how. */
export interface ChunkRequest {
  /** A `model.onnx` or the folder it is in, a `.mlpackage`, or a `.mlmodelc`. */
  readonly artifact: string;
  /** Bytes of weights that no chunk may exceed. */
  readonly maxChunkBytes: number;
  /** Whether to replace chunks that are there. */
  readonly force: boolean;
}

/** What `chunkArtifact` does when nothing else is asked for. */
export const chunkDefaults = { maxChunkBytes: 1e9, force: false } as const satisfies Partial<ChunkRequest>;

/** Only `artifact` is needed. */
export type ChunkOptions = OptionsOf<ChunkRequest, typeof chunkDefaults>;

/** A chunk that was written. */
export interface WrittenChunk {
  readonly path: string;
  readonly byteLength: number;
}

/**
 * Cuts an existing model into chunks beside it (`unet` → `unet_chunk1`, `unet_chunk2`, …; `X.mlpackage` →
 * `X_chunk1.mlpackage`, …); its weights are copied, never decoded, and the model itself stays. A note tells when a Core ML
 * model needs more chunks than apps load; a sdconvert.json that knew of earlier chunks forgets them. Throws `ChunkBudgetError`, `OutputExistsError`, `InterruptedError`,
 * `NotFoundError`, `UnsupportedModelError` for a model that cannot be cut, and what reading and writing throw.
 */
export async function chunkArtifact(options: ChunkOptions, context: Context = {}): Promise<WrittenChunk[]> {
  const {
    artifact: path,
    maxChunkBytes,
    force,
  } = withDefaults<ChunkRequest, typeof chunkDefaults>(chunkDefaults, options);
  return withArtifact(path, async (artifact) => {
    const model = await artifact.open();
    if (model.name.chunk) throw isChunk(path);
    const { chunks, note } = model.cut(maxChunkBytes);
    const planned = chunks.map((chunk, index) => ({
      chunk,
      path: artifact.chunkPath({ index: index + 1 }),
      byteLength: totalBytes(chunk.files()),
    }));
    const present = await presentChunks(artifact);
    const [first] = present;
    if (first !== undefined && !force) throw alreadyThere(first);
    if (note) context.onProgress?.({ type: 'note', message: note });

    for (const place of new Set([...present, ...planned.map((each) => each.path)]))
      await forgetProvenance(place);
    const total = planned.reduce((sum, { byteLength }) => sum + byteLength, 0);
    let done = 0;
    for (const { chunk, path: place } of planned) {
      await createFolder(place, async (growing) => {
        await chunk.write(growing, (bytes) => {
          throwIfInterrupted(context.signal);
          done += bytes;
          context.onProgress?.({
            type: 'progress',
            stage: 'chunk',
            what: basename(place),
            done,
            total,
            unit: 'bytes',
          });
        });
        await artifact.complete(growing, { inPlace: false });
      });
    }
    // A chain must not end in a chunk of another cut.
    const written = new Set(planned.map((each) => each.path));
    for (const place of present) if (!written.has(place)) await removePath(place);
    return planned.map(({ path: place, byteLength }) => ({ path: place, byteLength }));
  });
}

/** The chunks of an earlier cut that are there, in order. */
async function presentChunks(artifact: StoredArtifact): Promise<string[]> {
  const present: string[] = [];
  const pathOf = (index: number) => artifact.chunkPath({ index });
  for (let index = 1; await exists(pathOf(index)); index++) present.push(pathOf(index));
  return present;
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
