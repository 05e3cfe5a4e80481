import { excerpt, quote } from '../../io/error-text.ts';
import { brokenGguf } from './broken-gguf.ts';
import type { SourceCursor } from './source-cursor.ts';

/** Metadata of a GGUF file. */
export interface GgufMetadata {
  /** Its numbers, flags and short texts; lists and longer texts are passed over. */
  readonly values: Readonly<Record<string, string>>;
  /** The shapes that tensors had before ComfyUI's tool reshaped them for their blocks, by tensor. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Tensors' offsets are multiples of it. */
  readonly alignment: number;
}

/** Longest key or tensor name; ggml's own are of 63 bytes. */
export const LONGEST_NAME = 1 << 12;

/** Longest text that is kept: a licence, not a tokenizer's template. */
const LONGEST_TEXT = 1 << 13;

/** Lists within lists: nothing writes more than two. */
const DEEPEST_LIST = 8;

/** No tensor has more; a list of more numbers is no shape. */
const MAX_DIMENSIONS = 8;

const SHAPE_KEY = 'comfy.gguf.orig_shape.';
const ALIGNMENT_KEY = 'general.alignment';
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1 << 20;

const STRING = 8;
const LIST = 9;

/** Numbers and flags, by their type's number in a file: bytes of one, and how it is read. */
const scalars: ReadonlyMap<number, readonly [number, (view: DataView) => number | bigint | boolean]> =
  new Map([
    [0, [1, (view: DataView) => view.getUint8(0)]],
    [1, [1, (view: DataView) => view.getInt8(0)]],
    [2, [2, (view: DataView) => view.getUint16(0, true)]],
    [3, [2, (view: DataView) => view.getInt16(0, true)]],
    [4, [4, (view: DataView) => view.getUint32(0, true)]],
    [5, [4, (view: DataView) => view.getInt32(0, true)]],
    [6, [4, (view: DataView) => view.getFloat32(0, true)]],
    [7, [1, (view: DataView) => view.getUint8(0) !== 0]],
    [10, [8, (view: DataView) => view.getBigUint64(0, true)]],
    [11, [8, (view: DataView) => view.getBigInt64(0, true)]],
    [12, [8, (view: DataView) => view.getFloat64(0, true)]],
  ]);

/** Reads `count` keys and values. Throws `FileFormatError` for entries that the format does not allow. */
export async function readMetadata(cursor: SourceCursor, count: number, file: string): Promise<GgufMetadata> {
  const values: [string, string][] = [];
  const shapes = new Map<string, readonly number[]>();
  for (let i = 0; i < count; i++) {
    const key = await cursor.text(LONGEST_NAME);
    if (key === undefined) throw brokenGguf(file, 'it has a key that is too long');
    const type = await cursor.u32();
    if (type === LIST) {
      const list = await readList(cursor, key, file);
      if (list && key.startsWith(SHAPE_KEY)) shapes.set(key.slice(SHAPE_KEY.length), list);
    } else {
      const value = await readValue(cursor, type, key, file);
      if (value !== undefined) values.push([key, value]);
    }
  }
  const record = Object.fromEntries(values);
  return { values: record, shapes, alignment: alignmentOf(record[ALIGNMENT_KEY], file) };
}

async function readValue(
  cursor: SourceCursor,
  type: number,
  key: string,
  file: string,
): Promise<string | undefined> {
  if (type === STRING) return cursor.text(LONGEST_TEXT);
  const scalar = scalars.get(type);
  if (!scalar) throw unknownType(type, key, file);
  return String(await cursor.number(...scalar));
}

/** Passes over a list; its numbers where they are few and whole. */
async function readList(
  cursor: SourceCursor,
  key: string,
  file: string,
  depth = 1,
): Promise<readonly number[] | undefined> {
  if (depth > DEEPEST_LIST)
    throw brokenGguf(file, 'it has lists in lists too deep', {
      key: quote(key),
      depth: `over ${DEEPEST_LIST}`,
    });
  const type = await cursor.u32();
  const length = await cursor.u64();
  const scalar = scalars.get(type);
  if (scalar) {
    if (length > MAX_DIMENSIONS) {
      cursor.skip(length * scalar[0]);
      return undefined;
    }
    const numbers: number[] = [];
    for (let i = 0; i < length; i++) numbers.push(Number(await cursor.number(...scalar)));
    return numbers.every((value) => Number.isSafeInteger(value) && value >= 0) ? numbers : undefined;
  }
  if (type !== STRING && type !== LIST) throw unknownType(type, key, file);
  // Each has at least its length in the file, so that a list of 2⁶⁰ ends where the file does.
  for (let i = 0; i < length; i++) {
    if (type === STRING) await cursor.text(0);
    else await readList(cursor, key, file, depth + 1);
  }
  return undefined;
}

function alignmentOf(text: string | undefined, file: string): number {
  const alignment = text === undefined ? DEFAULT_ALIGNMENT : Number(text);
  if (Number.isInteger(alignment) && alignment >= 1 && alignment <= MAX_ALIGNMENT) return alignment;
  throw brokenGguf(file, `its alignment is no whole number from 1 to ${MAX_ALIGNMENT}`, {
    found: excerpt(String(text)),
  });
}

function unknownType(type: number, key: string, file: string): Error {
  return brokenGguf(file, 'a value is of a type that the format does not have', {
    key: quote(key),
    type: String(type),
  });
}
