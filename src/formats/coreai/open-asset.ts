import { join } from 'node:path';
import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import type { ByteSource } from '../../io/bytes.ts';
import { openFile, pathKind } from '../../io/disk.ts';
import { countBytes, shown } from '../../io/error-text.ts';
import { type JsonObject, readJsonObject } from '../../io/json/python-json.ts';
import { notFound } from '../../io/not-found.ts';
import { sniff } from '../../io/sniff.ts';
import { ASSET_VERSION, assetFileNames } from './asset.ts';
import { MalformedError, NotReadError, OtherVersionError } from './bytecode/byte-reader.ts';
import { isBytecode } from './bytecode/read-container.ts';
import { readProgram } from './bytecode/read-program.ts';
import { elementsOf, storedBytes } from './constants.ts';
import type { Operation, Program } from './program.ts';

/** A Core AI asset that was opened: all of its program but the weights is in memory, and was checked. */
export interface CoreAiAsset {
  /** Its folder. */
  readonly path: string;
  readonly program: Program;
  /** `metadata.json`; empty where there is none. */
  readonly metadata: JsonObject;
  close(): Promise<void>;
}

/**
 * Opens a Core AI asset (`.aimodel`), ours or anybody's. Throws `NotFoundError` for a missing folder, `FileFormatError` for a
 * damaged one, and `UnsupportedModelError` for other versions and for values that are no tensors.
 */
export async function openAsset(path: string): Promise<CoreAiAsset> {
  if ((await pathKind(path)) === undefined) throw notFound(path);
  const programFile = join(path, assetFileNames.program);
  if ((await pathKind(programFile)) !== 'file') {
    throw new FileFormatError({
      problem: `${path} is not a Core AI asset: it has no ${assetFileNames.program}.`,
      advice: 'Give the folder whose name ends in .aimodel; a zipped one must be unpacked first.',
    });
  }
  const metadata = await readMetadata(join(path, assetFileNames.metadata));
  const file = await openFile(programFile);
  try {
    const program = await readChecked(file);
    return { path, program, metadata, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Reads `metadata.json`, which may be missing. */
async function readMetadata(path: string): Promise<JsonObject> {
  if ((await pathKind(path)) === undefined) return {};
  const metadata = await readJsonObject(path);
  const { assetVersion } = metadata;
  if (assetVersion === undefined) {
    throw new FileFormatError({
      problem: `${path} has no assetVersion, and Core AI reads "${ASSET_VERSION}".`,
      advice: 'Core AI does not load the asset. Get it again, or convert it again.',
    });
  }
  if (assetVersion === ASSET_VERSION) return metadata;
  throw new UnsupportedModelError({
    problem: `${path} has the assetVersion ${shown(assetVersion)}, and Core AI reads "${ASSET_VERSION}".`,
    advice: `Core AI of OS 27 loads version ${ASSET_VERSION} only. Export the model for it.`,
  });
}

async function readChecked(file: ByteSource): Promise<Program> {
  const start = new Uint8Array(Math.min(file.size, 512));
  await file.read(start, 0);
  const finding = sniff(start);
  if (finding)
    throw new FileFormatError({ problem: `${file.name} is ${finding.what}.`, advice: finding.advice });
  try {
    if (!isBytecode(start)) throw new MalformedError('it does not begin as one does');
    const program = await readProgram(file);
    for (const { operations } of program.graphs) checkConstants(operations);
    return program;
  } catch (error) {
    throw asFileError(error, file);
  }
}

/** Every constant has the bytes that its type needs. */
function checkConstants(operations: readonly Operation[]): void {
  for (const operation of operations) {
    const [result] = operation.results;
    const elements = elementsOf(operation);
    if (elements && result) {
      const found = elements.kind === 'tensor' ? elements.bytes.length : elements.tensor.byteLength;
      const expected = storedBytes(result.type, elements);
      if (found !== expected)
        throw new MalformedError(
          `${nameOf(elements)} has ${countBytes(found)}, and its type says ${Number.isSafeInteger(expected) ? countBytes(expected) : 'no size'}`,
        );
    }
    for (const region of operation.regions) checkConstants(region.operations);
  }
}

function nameOf(elements: NonNullable<ReturnType<typeof elementsOf>>): string {
  return elements.kind === 'tensor' ? 'a constant' : `the weight ${shown(elements.tensor.name)}`;
}

/** What decoders throw says what is wrong, and not where. */
function asFileError(error: unknown, { name }: ByteSource): unknown {
  if (error instanceof NotReadError) {
    return new UnsupportedModelError({
      problem: `${name} is a Core AI program of a kind that is not read: it has ${error.message}.`,
      advice:
        error instanceof OtherVersionError
          ? 'Export the model with the tools of OS 27, or get a newer sdconvert.'
          : 'Export the model without state and custom kernels.',
    });
  }
  if (!(error instanceof MalformedError)) return error;
  return new FileFormatError({
    problem: `${name} is not a valid Core AI program: ${error.message}.`,
    advice: 'It is damaged, incomplete, or was written by a faulty tool: get it again, or convert it again.',
  });
}
