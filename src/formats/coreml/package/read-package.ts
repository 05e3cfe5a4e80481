import { dirname, join } from 'node:path';
import { FileFormatError, NotFoundError, UnsupportedModelError } from '../../../errors.ts';
import type { ByteSource } from '../../../io/bytes.ts';
import { openFile, pathKind } from '../../../io/disk.ts';
import { isJsonObject, type JsonObject } from '../../../io/json/python-json.ts';
import { notFound } from '../../../io/not-found.ts';
import { sniff } from '../../../io/sniff.ts';
import { type MilModel, readDescribingFile } from '../mil/mil-model.ts';
import { decodeModel, type Model } from '../mil/mil-schema.ts';
import { verifyProgram } from '../mil/verify-program.ts';
import { openWeightFiles } from './weight-blobs.ts';

/**
 * Opens a Core ML package (`.mlpackage`), ours or anybody's, and checks its program and the records of its weights; the
 * weights themselves are not read. Throws `NotFoundError` for a missing file, `FileFormatError` for a damaged one, and
 * `UnsupportedModelError` for a package that holds another kind of model than an ML Program.
 */
export async function openMlPackage(path: string): Promise<MilModel> {
  const file = await packageModelFile(path);
  const place = await findDescription(file);
  const bytes = await readDescribingFile(file);
  const { specificationVersion, description, mlProgram: program } = decode(bytes, file);
  if (!description || !program) throw notAModel(file, 'it has no description or no program');
  verifyProgram(program, file);
  const weights = await openWeightFiles(program, dirname(file));
  const descriptionBytes = bytes.slice(place.offset, place.offset + place.byteLength);
  return {
    path,
    specificationVersion,
    description,
    descriptionBytes,
    program,
    weights,
    close: weights.close,
  };
}

/** Path of a package's model: the root item of Manifest.json. Throws as `openMlPackage` does. */
export async function packageModelFile(path: string): Promise<string> {
  const kind = await pathKind(path);
  if (kind === undefined) throw notFound(path);
  const manifestPath = join(path, 'Manifest.json');
  if (kind === 'file' || (await pathKind(manifestPath)) !== 'file') {
    throw new FileFormatError({
      problem: `${path} is not a Core ML package: ${kind === 'file' ? 'it is a file, not a folder' : 'it has no Manifest.json'}.`,
      advice: 'Give the folder whose name ends in .mlpackage; a zipped one must be unpacked first.',
    });
  }
  const manifest = parseManifest(await readDescribingFile(manifestPath), manifestPath);
  const file = join(path, 'Data', rootPath(manifest, manifestPath));
  if ((await pathKind(file)) !== 'file') {
    throw new NotFoundError({
      problem: `The package is incomplete: ${file} does not exist.`,
      details: { 'named by': manifestPath },
      advice: 'Copy or download the package again, with all of its files.',
    });
  }
  return file;
}

function parseManifest(bytes: Uint8Array, file: string): JsonObject {
  const finding = sniff(bytes.subarray(0, 128));
  if (finding) throw new FileFormatError({ problem: `${file} is ${finding.what}.`, advice: finding.advice });
  try {
    const manifest: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isJsonObject(manifest)) return manifest;
  } catch {
    // The same error covers text that is not JSON.
  }
  throw brokenManifest(file, 'it is not a JSON object');
}

/** The path of the root model relative to `Data`. */
function rootPath(manifest: JsonObject, file: string): string {
  const { rootModelIdentifier: root, itemInfoEntries: items } = manifest;
  const item = typeof root === 'string' && isJsonObject(items) && Object.hasOwn(items, root) && items[root];
  const path = isJsonObject(item) ? item.path : undefined;
  if (typeof path !== 'string') throw brokenManifest(file, 'it does not say where the model is');
  if (path.split(/[/\\]/).some((part) => part === '' || part === '..')) {
    throw brokenManifest(file, 'the place of the model leads out of the package');
  }
  return path;
}

function decode(bytes: Uint8Array, file: string): Model {
  try {
    return decodeModel(bytes);
  } catch (error) {
    throw notAModel(file, 'its contents cannot be decoded', {
      found: error instanceof Error ? error.message : String(error),
    });
  }
}

/** Kinds of model by the number of their field in the message `Model` (Model.proto); all others end in an error too. */
const otherKinds: ReadonlyMap<number, string> = new Map([
  [200, 'a pipeline classifier'],
  [201, 'a pipeline regressor'],
  [202, 'a pipeline of several models'],
  [303, 'a neural network regressor'],
  [403, 'a neural network classifier'],
  [500, 'a neural network'],
]);

const DESCRIPTION = 2;
const ML_PROGRAM = 502;

/** The fields of the outermost message that are no model kinds: version, description, isUpdatable. */
const LAST_PLAIN_FIELD = 10;

/** No model has more fields in its outermost message than this. */
const MOST_FIELDS = 64;

/**
 * Walks over the outermost fields without reading their content (a neural network is as large as its weights) and returns
 * the place of the description. Throws unless the model is an ML Program.
 */
async function findDescription(path: string): Promise<Field> {
  const file = await openFile(path);
  try {
    const fields = await outermostFields(file);
    const kind = fields.findLast(({ number }) => number > LAST_PLAIN_FIELD)?.number;
    const description = fields.findLast(({ number }) => number === DESCRIPTION);
    if (kind === ML_PROGRAM && description) return description;
    if (kind === ML_PROGRAM || kind === undefined) throw notAModel(path, 'it has no description or no model');
    throw new UnsupportedModelError({
      problem: `${path} is ${otherKinds.get(kind) ?? 'of another kind'} and not supported: only ML Programs are.`,
      details: { kind: `field ${kind} of Model` },
      advice: 'Convert the checkpoint it was made from.',
    });
  } finally {
    await file.close();
  }
}

interface Field {
  readonly number: number;
  readonly offset: number;
  readonly byteLength: number;
}

async function outermostFields(file: ByteSource): Promise<Field[]> {
  const fields: Field[] = [];
  for (let at = 0; at < file.size; ) {
    const start = new Uint8Array(Math.min(file.size - at, 20)); // two of the longest variable-length integers
    await file.read(start, at);
    const key = readVarint(start, 0);
    const value = key && readVarint(start, key.end);
    const wireType = key && key.value % 8;
    if (!key || !value || (wireType !== 0 && wireType !== 2) || fields.length === MOST_FIELDS) {
      const finding = at === 0 ? sniff(start) : undefined;
      if (finding)
        throw new FileFormatError({ problem: `${file.name} is ${finding.what}.`, advice: finding.advice });
      throw notAModel(file.name, 'its contents cannot be decoded');
    }
    const byteLength = wireType === 2 ? value.value : 0;
    fields.push({ number: Math.floor(key.value / 8), offset: at + value.end, byteLength });
    at += value.end + byteLength;
    if (at > file.size) throw cutShort(file, at);
  }
  return fields;
}

/** A number in groups of 7 bits, the lowest first; `undefined` when it does not end. */
function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let index = start; index < Math.min(bytes.length, start + 10); index++) {
    const byte = bytes[index] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (index - start));
    if (byte < 0x80) return { value, end: index + 1 };
  }
  return undefined;
}

function cutShort(file: ByteSource, needed: number): FileFormatError {
  return new FileFormatError({
    problem: `${file.name} is cut short, or is not a Core ML model.`,
    details: { expected: `at least ${needed} bytes`, found: `${file.size} bytes` },
    advice: 'Copy or download the package again.',
  });
}

function notAModel(
  file: string,
  why: string,
  details: Readonly<Record<string, string>> = {},
): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not a Core ML model: ${why}.`,
    details,
    advice: 'Copy or download the package again.',
  });
}

function brokenManifest(file: string, why: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not the manifest of a Core ML package: ${why}.`,
    advice: 'Copy or download the package again.',
  });
}
