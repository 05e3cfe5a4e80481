import { createHash } from 'node:crypto';
import { createFolder } from '../../../io/create-folders.ts';
import { strictJson } from '../../../io/json/strict-json.ts';
import { memoryStream, readStream, type TensorStream } from '../../../weights/tensor-stream.ts';
import type { FileContents, PlannedFile, WrittenFile } from '../../artifact.ts';
import { writeFiles } from '../../write-files.ts';
import { encodeModel, type Model } from '../mil/mil-schema.ts';
import { type LaidOutModel, layOut, smallStreams } from './lay-out.ts';
import { weightFileParts } from './weight-file.ts';

/**
 * A package is a folder: `Manifest.json` lists its items, and the model refers to the weight file beside it. The names are
 * coremltools' own, which every reader knows.
 */

const AUTHOR = 'com.apple.CoreML';
const MANIFEST_FILE = 'Manifest.json';
const MODEL_FILE = `Data/${AUTHOR}/model.mlmodel`;
const WEIGHT_FILE = `Data/${AUTHOR}/weights/weight.bin`;

/** Lists the files that `writePackage` writes, with exact sizes. No weight is read. */
export function packageFiles(model: Model): PlannedFile[] {
  const { message, weights } = layOut(model);
  return [
    // Identifiers are as long for every model.
    { name: MANIFEST_FILE, byteLength: encodeManifest(new Uint8Array()).length },
    { name: MODEL_FILE, byteLength: encodeModel(message).length },
    { name: WEIGHT_FILE, byteLength: weights.byteLength },
  ];
}

/**
 * Writes a package, streaming one block of weights at a time. It appears under `path` when it is complete, in the place
 * of one that was there; the same model gives the same bytes. `onBytes` gets the size of each write. Throws
 * `DiskSpaceError`, `RequestError` where writing is forbidden, and what reading the weights throws.
 */
export async function writePackage(
  path: string,
  model: Model,
  onBytes: (count: number) => void,
): Promise<void> {
  await createFolder(path, async (folder) => {
    await writePackageFiles(folder, model, onBytes);
  });
}

/** Writes a package's files into a folder that appears as a package elsewhere. Throws as `writePackage` does. */
export async function writePackageFiles(
  folder: string,
  model: Model,
  onBytes: (count: number) => void,
): Promise<readonly WrittenFile[]> {
  return writeFiles(folder, await packageContents(model), onBytes);
}

/** Returns the contents of a package's files; reads the few values that stand in the program itself. */
export async function packageContents(model: Model): Promise<FileContents[]> {
  const { message, weights } = await layOutRead(model);
  const bytes = encodeModel(message);
  const inMemory = [memoryStream(MODEL_FILE, bytes), memoryStream(MANIFEST_FILE, encodeManifest(bytes))];
  return [
    { name: WEIGHT_FILE, parts: weightFileParts(weights) },
    ...inMemory.map((tensor) => ({ name: tensor.name, parts: [{ offset: 0, tensor }] })),
  ];
}

/** Lays out a model, reading the few values that stand in the program itself. */
async function layOutRead(model: Model): Promise<LaidOutModel> {
  const read = new Map<TensorStream, Uint8Array>();
  for (const stream of smallStreams(model)) read.set(stream, await readStream(stream));
  return layOut(model, (stream) => read.get(stream) ?? new Uint8Array());
}

/** `Manifest.json`, as coremltools lays it out: keys sorted, four spaces. */
function encodeManifest(model: Uint8Array): Uint8Array {
  const items = [
    { description: 'CoreML Model Specification', name: 'model.mlmodel' },
    { description: 'CoreML Model Weights', name: 'weights' },
  ].map(({ description, name }) => {
    const path = `${AUTHOR}/${name}`;
    return [identifier(model, path), { author: AUTHOR, description, name, path }] as const;
  });
  const manifest = {
    fileFormatVersion: '1.0.0',
    itemInfoEntries: Object.fromEntries(items.toSorted(([a], [b]) => (a < b ? -1 : 1))),
    rootModelIdentifier: items[0]?.[0],
  };
  return new TextEncoder().encode(strictJson(manifest, MANIFEST_FILE, 4));
}

/** An identifier in the form of a UUID (RFC 9562, version 8) that depends only on the model and the item, so that equal packages are equal bytes. */
function identifier(model: Uint8Array, item: string): string {
  const hex = createHash('sha256').update(item).update(model).digest('hex');
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return parts.join('-');
}
