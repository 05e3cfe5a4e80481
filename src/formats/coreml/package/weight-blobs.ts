import { join } from 'node:path';
import { FileFormatError, NotFoundError } from '../../../errors.ts';
import type { ByteSource } from '../../../io/bytes.ts';
import { openFile, pathKind } from '../../../io/disk.ts';
import { sniff } from '../../../io/sniff.ts';
import { type MilDType, milDTypes, milElement } from '../mil/mil-dtype.ts';
import { programValues, tensorElements, tensorTypeOf } from '../mil/mil-program.ts';
import type { BlobFileValue, Operation, Program, Value } from '../mil/mil-schema.ts';

/**
 * The weight files beside an ML Program, read in place. `weight-file.ts` describes their layout. Every record
 * that the program refers to is checked when the model is opened; the data is never read here.
 */

/** Place of a constant's data. */
export interface BlobData {
  readonly file: ByteSource;
  readonly dtype: MilDType;
  /** First byte of the data, counted from the beginning of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** The weight files of one model, open for reading. */
export interface WeightFiles {
  /** By the names that the program uses: `@model_path/weights/weight.bin`. */
  readonly files: ReadonlyMap<string, ByteSource>;
  /** Finds the data of a reference. Throws `Error` for a reference that is not the program's. */
  find(reference: BlobFileValue): BlobData;
  close(): Promise<void>;
}

const MODEL_PATH = '@model_path/';
const HEADER_BYTES = 64;
const RECORD_BYTES = 64;
const VERSION = 2;
const SENTINEL = 0xdeadbeef;

/** The path of a weight file relative to the model's folder; `undefined` when the reference leads out of it. */
export function weightFilePath(fileName: string): string | undefined {
  const parts = fileName.slice(MODEL_PATH.length).split('/');
  const isInside = parts.every(
    (part) => part !== '' && part !== '.' && part !== '..' && !/[\\:\0]/.test(part),
  );
  return fileName.startsWith(MODEL_PATH) && isInside ? parts.join('/') : undefined;
}

/**
 * Opens the weight files that a verified program refers to, in the folder that is its `@model_path`, and checks every
 * record. Throws `NotFoundError` for a missing file, `FileFormatError` for one that is not a weight file or is cut
 * short, and for a record that is not there or not of the size and dtype that the program declares.
 */
export async function openWeightFiles(program: Program, folder: string): Promise<WeightFiles> {
  const files = new Map<string, ByteSource>();
  const found = new Map<string, BlobData>();
  const close = async (): Promise<void> => {
    for (const file of files.values()) await file.close();
  };
  try {
    for (const { operation, value } of programValues(program)) {
      const blob = value.blobFileValue;
      if (!blob) continue;
      const file = files.get(blob.fileName) ?? (await openWeightFile(blob.fileName, folder));
      files.set(blob.fileName, file);
      const known = found.get(keyOf(blob)) ?? (await readRecord(file, blob.offset, operation));
      found.set(keyOf(blob), known);
      checkType(known, value, operation);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    files,
    find(reference) {
      const data = found.get(keyOf(reference));
      if (!data) throw new Error(`the program does not refer to ${keyOf(reference)}`);
      return data;
    },
    close,
  };
}

function keyOf({ fileName, offset }: BlobFileValue): string {
  return `${offset} ${fileName}`;
}

async function openWeightFile(fileName: string, folder: string): Promise<ByteSource> {
  const path = join(folder, weightFilePath(fileName) ?? '');
  if ((await pathKind(path)) !== 'file') {
    throw new NotFoundError({
      problem: `The weights of the model are missing: ${path} does not exist.`,
      advice: 'Copy or download the model again, with all of its files.',
    });
  }
  const file = await openFile(path);
  try {
    await checkHeader(file);
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}

async function checkHeader(file: ByteSource): Promise<void> {
  const start = new Uint8Array(Math.min(file.size, 128));
  await file.read(start, 0);
  const finding = sniff(start);
  if (finding)
    throw new FileFormatError({ problem: `${file.name} is ${finding.what}.`, advice: finding.advice });
  if (start.length < HEADER_BYTES || new DataView(start.buffer).getUint32(4, true) !== VERSION) {
    throw broken(file, 'it does not begin as one does');
  }
}

async function readRecord(file: ByteSource, offset: number, operation: Operation): Promise<BlobData> {
  const details = {
    constant: nameOf(operation),
    offset: String(offset),
    'size of the file': `${file.size} bytes`,
  };
  if (offset % RECORD_BYTES !== 0 || offset < HEADER_BYTES) {
    throw broken(file, 'a constant is at a place where none can be', details);
  }
  if (offset + RECORD_BYTES > file.size)
    throw broken(file, 'a constant lies behind the end of the file', details);
  const record = new DataView(new ArrayBuffer(RECORD_BYTES));
  await file.read(new Uint8Array(record.buffer), offset);
  if (record.getUint32(0, true) !== SENTINEL) {
    throw broken(file, 'where the program expects a constant there is none', details);
  }
  const dtype = dtypeOfCode(record.getUint32(4, true));
  if (!dtype) throw broken(file, 'a constant has an element type that is not known', details);
  const byteLength = Number(record.getBigUint64(8, true));
  const data = Number(record.getBigUint64(16, true));
  if (data + byteLength > file.size) {
    throw broken(file, 'it ends before the data of a constant does', {
      ...details,
      needed: `${byteLength} bytes from ${data} on`,
    });
  }
  return { file, dtype, offset: data, byteLength };
}

function checkType({ file, dtype, byteLength }: BlobData, value: Value, operation: Operation): void {
  const type = tensorTypeOf(value.type);
  const expected = type && Math.ceil((tensorElements(type) * milElement(type.dtype).bits) / 8);
  if (type?.dtype === dtype && byteLength === expected) return;
  throw broken(file, 'a constant is not what the program says it is', {
    constant: nameOf(operation),
    expected: `${expected} bytes for ${type?.dtype} [${type?.shape.join(', ')}]`,
    found: `${byteLength} bytes of ${dtype}`,
  });
}

function dtypeOfCode(code: number): MilDType | undefined {
  // as: Object.keys gives strings; the table has exactly these keys.
  return (Object.keys(milDTypes) as MilDType[]).find((dtype) => milElement(dtype).blob === code);
}

function nameOf({ type, outputs }: Operation): string {
  return outputs[0]?.name ?? type;
}

function broken(
  file: ByteSource,
  what: string,
  details: Readonly<Record<string, string>> = {},
): FileFormatError {
  return new FileFormatError({
    problem: `${file.name} is not the weight file of the model beside it: ${what}.`,
    details,
    advice: 'It is damaged, incomplete or of another model: download or copy the model again.',
  });
}
