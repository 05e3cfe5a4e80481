import { FileFormatError, UnsupportedModelError } from '../errors.ts';
import type { ByteSource } from '../io/bytes.ts';
import { countBytes, excerpt, quote, shown } from '../io/error-text.ts';
import { duplicateKey } from '../io/json/json-text.ts';
import { isJsonObject } from '../io/json/python-json.ts';
import { sniff } from '../io/sniff.ts';
import { byteWidth, type DType } from './dtype.ts';

/**
 * The safetensors format (https://github.com/huggingface/safetensors#format): 8 bytes little-endian length N, N bytes of
 * JSON, then the tensors' bytes. Files come from strangers, so every rule of the format is enforced before a byte of data
 * is read, and no length in the file is believed before it is compared with the file's size.
 */

/** Place of a tensor in a file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** First byte, counted from the beginning of the file. */
  readonly offset: number;
  /** Number of bytes: those of `shape` and `dtype`. */
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** The strings under `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Every tensor by name, in the order of the data. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
}

/** safetensors' names of the dtypes, in the sort order of the reference implementation (last comes first in a file). */
export const safetensorsDTypes: Readonly<Record<string, DType>> = {
  BOOL: 'bool',
  U8: 'u8',
  I8: 'i8',
  F8_E5M2: 'f8_e5m2',
  F8_E4M3: 'f8_e4m3',
  I16: 'i16',
  U16: 'u16',
  F16: 'f16',
  BF16: 'bf16',
  I32: 'i32',
  U32: 'u32',
  F32: 'f32',
  F64: 'f64',
  I64: 'i64',
  U64: 'u64',
};

/** The largest header that the reference implementation reads. */
const MAX_HEADER_BYTES = 100_000_000;

/** Bytes before the header: its length. */
export const LENGTH_BYTES = 8;

/**
 * Reads and checks a header; the data is not touched. Throws `FileFormatError` for anything that is not a whole and
 * consistent safetensors file, `UnsupportedModelError` for tensors of a dtype that is not converted.
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const length = await readHeaderLength(source);
  const header = new Uint8Array(length);
  await source.read(header, LENGTH_BYTES);
  const { __metadata__, ...tensors } = parseHeader(header, source.name);

  const dataStart = LENGTH_BYTES + length;
  const entries = Object.entries(tensors)
    .map(([name, entry]) => readEntry(name, entry, dataStart, source.name))
    .sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  checkLayout(entries, dataStart, source);
  return {
    metadata: readMetadata(__metadata__, source.name),
    entries: new Map(entries.map((entry) => [entry.name, entry])),
  };
}

async function readHeaderLength(source: ByteSource): Promise<number> {
  const start = new Uint8Array(Math.min(source.size, 512));
  await source.read(start, 0);
  if (start.length === 0) {
    throw new FileFormatError({ problem: `${source.name} is empty.`, advice: downloadAgain });
  }
  if (start.length > LENGTH_BYTES && start[LENGTH_BYTES] === 0x7b /* { */) {
    const length = Number(new DataView(start.buffer).getBigUint64(0, true));
    if (length > 0 && length <= source.size - LENGTH_BYTES && length <= MAX_HEADER_BYTES) return length;
    if (length > 0 && length <= MAX_HEADER_BYTES) throw truncated(source, LENGTH_BYTES + length, 'at least ');
  }
  throw notSafetensors(source.name, start);
}

function parseHeader(bytes: Uint8Array, file: string): Readonly<Record<string, unknown>> {
  let header: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (error) {
    throw broken(file, 'its header is not valid UTF-8 JSON', {
      found: error instanceof Error ? error.message : String(error),
    });
  }
  if (!isJsonObject(header)) throw broken(file, 'its header is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw broken(file, 'its header has one key twice', { key: quote(twice) });
  return header;
}

function readMetadata(value: unknown, file: string): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isJsonObject(value)) throw broken(file, 'its __metadata__ is not a JSON object');
  const pairs = Object.entries(value).map(([key, text]): [string, string] => {
    if (typeof text === 'string') return [key, text];
    throw broken(file, 'its __metadata__ holds something other than strings', { key: quote(key) });
  });
  return Object.fromEntries(pairs);
}

function readEntry(name: string, value: unknown, dataStart: number, file: string): TensorEntry {
  const tensor = quote(name);
  const entry = isJsonObject(value) ? value : {};
  const { dtype: spelling, shape, data_offsets: offsets } = entry;
  if (typeof spelling !== 'string' || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    throw broken(file, 'the header entry of a tensor is malformed', {
      tensor,
      expected: 'a dtype, a shape and two data_offsets',
      found: shown(value),
    });
  }
  const dtype = Object.hasOwn(safetensorsDTypes, spelling) ? safetensorsDTypes[spelling] : undefined;
  if (!dtype) throw unknownDType(file, tensor, spelling);

  const [begin = 0, end = 0] = offsets;
  const bytes = exactByteSize(shape, dtype);
  if (bytes === undefined)
    throw broken(file, 'a tensor is too large to count', { tensor, shape: excerpt(`[${shape}]`) });
  if (end - begin !== bytes) {
    throw broken(file, "a tensor's shape does not match its bytes", {
      tensor,
      expected: `${countBytes(bytes)} for ${spelling} ${excerpt(`[${shape}]`)}`,
      found: end < begin ? `offsets that run backwards, ${begin} to ${end}` : countBytes(end - begin),
    });
  }
  return { name, dtype, shape, offset: dataStart + begin, bytes };
}

/** The tensors must fill the data without holes or overlaps, and the file must end where they end. */
function checkLayout(entries: readonly TensorEntry[], dataStart: number, source: ByteSource): void {
  let end = dataStart;
  let before = 'the header';
  for (const { name, offset, bytes } of entries) {
    const tensor = quote(name);
    if (offset < end) throw broken(source.name, 'two tensors overlap', { first: before, second: tensor });
    if (offset > end) {
      throw broken(source.name, `there is a hole of ${countBytes(offset - end)} between tensors`, {
        after: before,
        before: tensor,
      });
    }
    end = offset + bytes;
    before = tensor;
  }
  if (end > source.size) throw truncated(source, end);
  if (end < source.size) {
    throw broken(source.name, 'there are bytes after the last tensor', {
      expected: countBytes(end),
      found: countBytes(source.size),
    });
  }
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function exactByteSize(shape: readonly number[], dtype: DType): number | undefined {
  let bytes = byteWidth(dtype);
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return bytes;
}

const downloadAgain = 'Download or copy it again.';

function broken(file: string, what: string, details: Readonly<Record<string, string>> = {}): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not a valid safetensors file: ${what}.`,
    details,
    advice:
      'It is damaged, or was written by a faulty tool: download it again, or get it from another source.',
  });
}

function truncated(source: ByteSource, needed: number, atLeast = ''): FileFormatError {
  return new FileFormatError({
    problem: `${source.name} is cut short: ${atLeast}${countBytes(needed - source.size)} are missing.`,
    details: { expected: `${atLeast}${countBytes(needed)}`, found: countBytes(source.size) },
    advice: `The download or copy was interrupted. ${downloadAgain}`,
  });
}

function notSafetensors(file: string, start: Uint8Array): FileFormatError {
  const finding = sniff(start);
  if (finding) return new FileFormatError({ problem: `${file} is ${finding.what}.`, advice: finding.advice });
  return new FileFormatError({
    problem: `${file} is not a safetensors file.`,
    details: { 'begins with': beginning(start) },
    advice: 'Check that it is the right file, or download it again.',
  });
}

function unknownDType(file: string, tensor: string, spelling: string): Error {
  if (!/^F[468]_/.test(spelling))
    return broken(file, 'a tensor has an unknown dtype', { tensor, found: excerpt(spelling) });
  return new UnsupportedModelError({
    problem: `${file} holds ${excerpt(spelling)} weights, which are not supported.`,
    details: { tensor },
    advice: 'Use the float16, bfloat16 or float32 version of the model.',
  });
}

/** Text is quoted (servers answer with "Entry not found"), anything else shown as hexadecimal bytes. */
function beginning(start: Uint8Array): string {
  const text = new TextDecoder('latin1').decode(start.subarray(0, 60));
  if (/^[\t\r\n -~]+$/.test(text)) return JSON.stringify(text);
  return [...start.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
