import { basename, dirname, join, parse, resolve } from 'node:path';
import { RequestError } from '../errors.ts';
import { createFolder, exists } from '../io/disk.ts';
import { copyConfigFile } from '../io/strict-json.ts';
import { openMlModelC } from './coreml/compiled/read-bundle.ts';
import type { MilModel } from './coreml/mil/mil-model.ts';
import { packageFiles, writePackage } from './coreml/package/package.ts';
import { openMlPackage } from './coreml/package/read-package.ts';
import { streamedModel } from './coreml/package/streamed-model.ts';
import { chunkCountNote, splitMil } from './coreml/split-mil.ts';
import { locateModel } from './locate-model.ts';
import { openOnnx } from './onnx/read-onnx.ts';
import { splitOnnx } from './onnx/split-onnx.ts';
import { plannedFiles, writeOnnx } from './onnx/write-onnx.ts';

/** A model on the disk, open to be cut. */
export interface Cuttable {
  /** Where a chunk goes; the first is number 1. */
  pathOf(number: number): string;
  split(maxBytes: number): CutPiece[];
  /** What the user should know of so many chunks. */
  note(count: number, maxBytes: number): string | undefined;
  close(): Promise<void>;
}

/** A chunk ready to be written. */
export interface CutPiece {
  /** Exact size of all its files. */
  readonly byteLength: number;
  /** Makes it appear under `path`, complete; `onBytes` is told how many bytes each write had, and stops the work by throwing. */
  write(path: string, onBytes: (count: number) => void): Promise<void>;
}

/**
 * Opens a model by what it is. Throws `NotFoundError`, `RequestError` for what is a chunk itself, and what the opener of
 * its kind throws.
 */
export async function openCuttable(path: string): Promise<Cuttable> {
  if (CHUNK.test(parse(resolve(path)).name)) throw isChunk(path);
  const model = await locateModel(path);
  if (model.kind === 'onnx') return openOnnxModel(model.path);
  return cuttableMil(path, await (model.kind === 'mlpackage' ? openMlPackage : openMlModelC)(path));
}

/** How chunks are called: `unet_chunk1`, `UnetChunk1`. */
const CHUNK = /_?chunk\d+$/i;

function isChunk(path: string): RequestError {
  return new RequestError({
    problem: `${path} is a chunk already.`,
    advice: 'Cut the whole model, with a smaller --max-chunk-size.',
  });
}

async function openOnnxModel(file: string): Promise<Cuttable> {
  const folder = dirname(file);
  const name = basename(resolve(folder));
  const config = join(folder, 'config.json');
  if (CHUNK.test(name)) throw isChunk(folder);
  const model = await openOnnx(file);
  if (model.proto.metadataProps?.some(({ key }) => key === 'chunk')) {
    await model.close();
    throw isChunk(file);
  }
  return {
    pathOf: (number) => join(folder, '..', `${name}_chunk${number}`),
    split: (maxBytes) =>
      splitOnnx(model, maxBytes).map((chunk) => ({
        byteLength: totalSize(plannedFiles(chunk)),
        write: (path, onBytes) =>
          createFolder(path, async (growing) => {
            await writeOnnx(chunk, growing, onBytes);
            if (await exists(config)) await copyConfigFile(config, join(growing, 'config.json'));
          }),
      })),
    note: () => undefined,
    close: () => model.close(),
  };
}

function cuttableMil(folder: string, model: MilModel): Cuttable {
  const { name } = parse(resolve(folder));
  return {
    pathOf: (number) => join(folder, '..', `${name}_chunk${number}.mlpackage`),
    split: (maxBytes) =>
      splitMil(streamedModel(model), folder, maxBytes).map((chunk) => ({
        byteLength: totalSize(packageFiles(chunk)),
        write: (path, onBytes) => writePackage(path, chunk, onBytes),
      })),
    note: chunkCountNote,
    close: () => model.close(),
  };
}

function totalSize(files: readonly { readonly byteLength: number }[]): number {
  return files.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
