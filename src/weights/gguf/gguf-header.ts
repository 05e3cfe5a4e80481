import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import type { ByteSource } from '../../io/bytes.ts';
import { countBytes, excerpt, quote } from '../../io/error-text.ts';
import { elementCount } from '../dtype.ts';
import { brokenGguf } from './broken-gguf.ts';
import { LONGEST_NAME, readMetadata } from './gguf-metadata.ts';
import { type GgufType, ggufTypes, otherGgufTypes } from './gguf-types.ts';
import { SourceCursor, SourceEndsError } from './source-cursor.ts';

/**
 * The GGUF format, versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): "GGUF", the version,
 * the number of tensors and of metadata; the metadata; the tensors' names, sizes (innermost first), types and places; the
 * tensors' bytes, each from a multiple of the alignment on. Files come from strangers: no number is believed before it
 * is compared with the file's size.
 */

/** Place of a tensor in a file. */
export interface GgufTensor {
  readonly name: string;
  readonly type: GgufType;
  /** Outermost first; as it was before ComfyUI's tool reshaped it, where the file says so. */
  readonly shape: readonly number[];
  /** First byte, counted from the beginning of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface GgufHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of the data. */
  readonly tensors: readonly GgufTensor[];
}

/** ggml's own limit. */
const MAX_DIMENSIONS = 4;

/** The fewest bytes that a tensor's entry has: an empty name, no size, a type and a place. */
const FEWEST_TENSOR_BYTES = 24;

/** The fewest bytes that a key and its value have. */
const FEWEST_VALUE_BYTES = 13;

/** A tensor's entry, as it stands in the file. */
interface Entry {
  readonly name: string;
  readonly sizes: readonly number[];
  readonly type: number;
  /** Counted from the beginning of the data. */
  readonly place: number;
}

/**
 * Reads and checks everything before the data. Throws `FileFormatError` for an incomplete or inconsistent file,
 * `UnsupportedModelError` for another version, another byte order and types of numbers that are not read.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  try {
    return await readHeader(source);
  } catch (error) {
    if (error instanceof SourceEndsError)
      throw brokenGguf(source.name, 'it ends before what it says it holds, or its counts are wrong');
    throw error;
  }
}

async function readHeader(source: ByteSource): Promise<GgufHeader> {
  const file = source.name;
  const cursor = new SourceCursor(source);
  cursor.skip(4); // "GGUF"
  checkVersion(await cursor.u32(), file);
  const [tensors, values] = [await cursor.u64(), await cursor.u64()];
  if (tensors * FEWEST_TENSOR_BYTES + values * FEWEST_VALUE_BYTES > cursor.left) throw new SourceEndsError();
  const metadata = await readMetadata(cursor, values, file);
  checkWhole(metadata.values, file);
  const entries: Entry[] = [];
  for (let i = 0; i < tensors; i++) entries.push(await readEntry(cursor, file));

  const { alignment, shapes } = metadata;
  const start = Math.ceil(cursor.at / alignment) * alignment;
  checkTypes(entries, file);
  const located = entries.map((entry) => {
    if (entry.place % alignment === 0) return locate(entry, start, shapes.get(entry.name), file);
    throw brokenGguf(file, 'a tensor does not begin at a multiple of the alignment', {
      tensor: quote(entry.name),
      alignment: String(alignment),
      found: String(entry.place),
    });
  });
  located.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  checkLayout(located, source);
  return { metadata: metadata.values, tensors: located };
}

function checkVersion(version: number, file: string): void {
  if (version === 2 || version === 3) return;
  const swapped = version % 2 ** 16 === 0;
  throw new UnsupportedModelError({
    problem: swapped
      ? `${file} was not written on a little-endian machine.`
      : `${file} is a GGUF file of version ${version}, which is not supported.`,
    details: { expected: 'version 2 or 3' },
    advice: 'Convert it again with a program of today, or use the .safetensors that it was made from.',
  });
}

/** llama.cpp's tools split large files, and each part looks like a whole one. */
function checkWhole(metadata: Readonly<Record<string, string>>, file: string): void {
  const parts = metadata['split.count'];
  if (parts === undefined || Number(parts) <= 1) return;
  throw new UnsupportedModelError({
    problem: `${file} is one part of a GGUF file that was split, which is not supported.`,
    details: { parts: excerpt(parts) },
    advice: 'Join the parts with `llama-gguf-split --merge`, or use the file in one piece.',
  });
}

async function readEntry(cursor: SourceCursor, file: string): Promise<Entry> {
  const name = await cursor.text(LONGEST_NAME);
  if (name === undefined) throw brokenGguf(file, 'a tensor has a name that is too long');
  const dimensions = await cursor.u32();
  if (dimensions > MAX_DIMENSIONS)
    throw brokenGguf(file, `a tensor has more than ${MAX_DIMENSIONS} dimensions`, {
      tensor: quote(name),
      found: String(dimensions),
    });
  const sizes: number[] = [];
  for (let i = 0; i < dimensions; i++) sizes.push(await cursor.u64());
  return { name, sizes, type: await cursor.u32(), place: await cursor.u64() };
}

/** All types that are not read at once, with their counts: a file of them is of no use without. */
function checkTypes(entries: readonly Entry[], file: string): void {
  const others = entries.filter(({ type }) => !ggufTypes.has(type));
  const [first] = others;
  if (!first) return;
  const name = otherGgufTypes.get(first.type);
  if (name === undefined)
    throw brokenGguf(file, 'a tensor is of a type that the format does not have', {
      tensor: quote(first.name),
      type: String(first.type),
    });
  throw new UnsupportedModelError({
    problem: `${file} holds ${name} weights, which are not supported.`,
    details: { tensor: quote(first.name), tensors: `${others.length} of ${entries.length}` },
    advice: `Use the file with ${readableTypes()} weights, or the .safetensors that it was made from.`,
  });
}

function readableTypes(): string {
  const packed = [...ggufTypes.values()].filter(({ as }) => typeof as !== 'string').map(({ name }) => name);
  return `${packed.slice(0, -1).join(', ')} or ${packed.at(-1)}`;
}

/** A tensor's entry with its type, its shape as frameworks have it, and its place in the file. */
function locate(
  { name, sizes, type, place }: Entry,
  start: number,
  original: readonly number[] | undefined,
  file: string,
): GgufTensor {
  const found = ggufTypes.get(type);
  if (!found) throw new Error(`type ${type} was not checked`);
  const tensor = quote(name);
  const [rowLength = 1] = sizes;
  const bytes = (elementCount(sizes) / found.elements) * found.bytes;
  if (!Number.isSafeInteger(elementCount(sizes)) || !Number.isSafeInteger(start + place + bytes))
    throw brokenGguf(file, 'a tensor is too large to count', { tensor, shape: excerpt(`[${sizes}]`) });
  if (rowLength % found.elements !== 0) {
    throw brokenGguf(file, 'the rows of a tensor are no whole number of blocks', {
      tensor,
      expected: `a multiple of ${found.elements} for ${found.name}`,
      found: String(rowLength),
    });
  }
  if (original && elementCount(original) !== elementCount(sizes)) {
    throw brokenGguf(file, "a tensor's original shape has another number of elements", {
      tensor,
      expected: excerpt(`[${sizes}]`),
      found: excerpt(`[${original}]`),
    });
  }
  return { name, type: found, shape: original ?? sizes.toReversed(), offset: start + place, bytes };
}

/** Tensors must not overlap, nor have one name, and the file must hold them all. */
function checkLayout(tensors: readonly GgufTensor[], { name: file, size }: ByteSource): void {
  const names = new Set<string>();
  let end = 0;
  let before = '';
  for (const { name, offset, bytes } of tensors) {
    const tensor = quote(name);
    if (names.has(name)) throw brokenGguf(file, 'two tensors have one name', { tensor });
    if (offset < end) throw brokenGguf(file, 'two tensors overlap', { first: before, second: tensor });
    names.add(name);
    end = offset + bytes;
    before = tensor;
  }
  if (end <= size) return;
  throw new FileFormatError({
    problem: `${file} is cut short: ${countBytes(end - size)} are missing.`,
    details: { expected: countBytes(end), found: countBytes(size) },
    advice: 'The download or copy was interrupted: download or copy it again.',
  });
}
