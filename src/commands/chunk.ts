import { basename } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import { OutputExistsError } from '../errors.ts';
import { openCuttable } from '../formats/open-cuttable.ts';
import { forgetProvenance } from '../formats/provenance.ts';
import { exists, removePath } from '../io/disk.ts';

/** What to cut, and how. */
export interface ChunkRequest {
  /** A `model.onnx` or the folder it is in, a `.mlpackage`, or a `.mlmodelc`. */
  readonly artifact: string;
  /** Bytes of weights that no chunk may exceed. */
  readonly maxChunkBytes: number;
  /** Whether to replace chunks that are there. */
  readonly force: boolean;
}

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
export async function chunkArtifact(
  { artifact, maxChunkBytes, force }: ChunkRequest,
  context: Context = {},
): Promise<WrittenChunk[]> {
  const model = await openCuttable(artifact);
  try {
    const chunks = model
      .split(maxChunkBytes)
      .map((chunk, index) => ({ ...chunk, path: model.pathOf(index + 1) }));
    const present = await presentChunks(model.pathOf);
    const [first] = present;
    if (first !== undefined && !force) throw alreadyThere(first);
    const note = model.note(chunks.length, maxChunkBytes);
    if (note) context.onProgress?.({ type: 'note', message: note });

    for (const path of new Set([...present, ...chunks.map(({ path }) => path)])) await forgetProvenance(path);
    const total = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
    let done = 0;
    for (const { path, write } of chunks) {
      await write(path, (bytes) => {
        throwIfInterrupted(context.signal);
        done += bytes;
        context.onProgress?.({
          type: 'progress',
          stage: 'chunk',
          what: basename(path),
          done,
          total,
          unit: 'bytes',
        });
      });
    }
    // A chain must not end in a chunk of another cut.
    const written = new Set(chunks.map(({ path }) => path));
    for (const path of present) if (!written.has(path)) await removePath(path);
    return chunks.map(({ path, byteLength }) => ({ path, byteLength }));
  } finally {
    await model.close();
  }
}

/** The chunks of an earlier cut that are there, in order. */
async function presentChunks(pathOf: (number: number) => string): Promise<string[]> {
  const present: string[] = [];
  for (let number = 1; await exists(pathOf(number)); number++) present.push(pathOf(number));
  return present;
}

function alreadyThere(path: string): OutputExistsError {
  return new OutputExistsError({ problem: `${path} exists already.`, advice: 'Pass --force to replace it.' });
}
