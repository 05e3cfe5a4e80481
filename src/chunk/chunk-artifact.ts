import { basename, dirname, join } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import { openOnnx } from '../emit/onnx/read-onnx.ts';
import { plannedFiles, writeOnnx } from '../emit/onnx/write-onnx.ts';
import { NotFoundError, OutputExistsError } from '../errors.ts';
import { copyHashed } from '../weights/copy-file.ts';
import { createFolder, exists, pathKind } from '../weights/disk.ts';
import { splitOnnx } from './split-onnx.ts';

/** What to cut, and how. */
export interface ChunkRequest {
  /** A `model.onnx`, or the folder it is in. */
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
 * Cuts an existing model into chunks beside it (`unet` → `unet_chunk1`, `unet_chunk2`, …); its weights are copied, never
 * decoded, and the model itself stays. Throws `ChunkBudgetError`, `OutputExistsError`, `InterruptedError`, and what
 * reading and writing throw.
 */
export async function chunkArtifact({ artifact, maxChunkBytes, force }: ChunkRequest, context: Context = {}): Promise<WrittenChunk[]> {
  const file = await modelFile(artifact);
  const folder = dirname(file);
  const model = await openOnnx(file);
  try {
    const chunks = splitOnnx(model, maxChunkBytes).map((chunk, index) => ({ chunk, path: `${folder}_chunk${index + 1}` }));
    for (const { path } of chunks) if (!force && (await exists(path))) throw alreadyThere(path);

    const sizes = chunks.map(({ chunk }) => plannedFiles(chunk).reduce((sum, { byteLength }) => sum + byteLength, 0));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    let done = 0;
    for (const { chunk, path } of chunks) {
      await createFolder(path, async (growing) => {
        await writeOnnx(chunk, growing, (bytes) => {
          throwIfInterrupted(context.signal);
          done += bytes;
          context.onProgress?.({ type: 'progress', stage: 'chunk', what: basename(path), done, total });
        });
        const config = join(folder, 'config.json');
        if (await exists(config)) await copyHashed(config, join(growing, 'config.json'));
      });
    }
    return chunks.map(({ path }, index) => ({ path, byteLength: sizes[index] ?? 0 }));
  } finally {
    await model.close();
  }
}

async function modelFile(artifact: string): Promise<string> {
  const kind = await pathKind(artifact);
  if (kind === 'file') return artifact;
  const file = join(artifact, 'model.onnx');
  if (kind === 'folder' && (await exists(file))) return file;
  throw new NotFoundError({
    problem: kind === 'folder' ? `${artifact} has no model.onnx.` : `${artifact} does not exist.`,
    advice: 'Name a model.onnx or its folder, e.g. out/onnx/unet.',
  });
}

function alreadyThere(path: string): OutputExistsError {
  return new OutputExistsError({ problem: `${path} exists already.`, advice: 'Pass --force to replace it.' });
}
