import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl';
import { FileFormatError, SdConvertError, UnsupportedModelError } from '../errors.ts';
import type { ByteRange, ByteSource } from './bytes.ts';
import { quote } from './error-text.ts';

/**
 * Zip archives whose entries are stored as they are, so that they can be read where they lie. The format is yauzl's work
 * (zip64 included); here are the rules for files from strangers: names that lead nowhere else, each once, and no two
 * entries over the same bytes.
 */
export interface ZipArchive {
  readonly source: ByteSource;
  /** Every entry by name. */
  readonly entries: ReadonlyMap<string, Entry>;
  readonly zip: ZipFile;
}

/** Ten times what any checkpoint has tensors. */
const MAX_ENTRIES = 30_000;

/** Bytes read at once: entries that are small lie close together. */
const WINDOW_BYTES = 4096;

/** Reads an archive's directory. Throws `FileFormatError`, or `UnsupportedModelError` for a huge number of entries. */
export async function openZip(source: ByteSource): Promise<ZipArchive> {
  const options = { autoClose: false, lazyEntries: true, decodeStrings: false };
  const zip = await fromRandomAccessReaderPromise(new SourceReader(source), source.size, options).catch(
    unreadable(source.name),
  );
  if (zip.entryCount > MAX_ENTRIES) throw tooManyEntries(source.name, zip.entryCount);
  const entries = new Map<string, Entry>();
  try {
    for await (const entry of zip.eachEntry()) {
      const name = new TextDecoder().decode(entry.fileNameRaw);
      if (/^\/|\\|^[A-Za-z]:|\0|(^|\/)\.\.?(\/|$)/.test(name) || name === '')
        throw hostile(source.name, 'with a path that leads out of it', name);
      if (entries.has(name)) throw hostile(source.name, 'that is in it twice', name);
      entries.set(name, entry);
    }
  } catch (error) {
    unreadable(source.name)(error);
  }
  return { source, entries, zip };
}

/** Finds each entry's bytes in the file. Throws `FileFormatError`, or `UnsupportedModelError` for compressed ones. */
export async function locateEntries({
  source,
  entries,
  zip,
}: ZipArchive): Promise<ReadonlyMap<string, ByteRange>> {
  const ranges = new Map<string, ByteRange>();
  for (const [name, entry] of entries) {
    if (entry.isEncrypted()) throw packed(source.name, name, 'encrypted');
    if (entry.compressionMethod !== 0) throw packed(source.name, name, 'compressed');
    const { fileDataStart: offset } = await zip
      .readLocalFileHeaderPromise(entry, { minimal: true })
      .catch(unreadable(source.name));
    ranges.set(name, { offset, bytes: entry.uncompressedSize });
  }
  let end = 0;
  const inOrder = [...entries].sort(
    ([, a], [, b]) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader,
  );
  for (const [name, { relativeOffsetOfLocalHeader: start }] of inOrder) {
    if (start < end) throw hostile(source.name, 'that overlaps another', name);
    const { offset, bytes } = ranges.get(name) ?? { offset: start, bytes: 0 };
    end = offset + bytes;
  }
  return ranges;
}

/** Gives yauzl the bytes of a source. */
class SourceReader extends RandomAccessReader {
  readonly #source: ByteSource;
  #window = new Uint8Array();
  #start = 0;

  constructor(source: ByteSource) {
    super();
    this.#source = source;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    this.#fill(buffer.subarray(offset, offset + length), position)
      .then(() => callback(null), callback)
      .catch((error: unknown) => this.emit('error', error)); // what yauzl throws while it looks at the bytes
  }

  async #fill(into: Uint8Array, position: number): Promise<void> {
    const { size } = this.#source;
    if (position + into.length > size) throw new Error('a part of it lies beyond its end');
    const start = position - this.#start;
    if (start < 0 || start + into.length > this.#window.length) {
      if (into.length > WINDOW_BYTES) return this.#source.read(into, position);
      this.#window = new Uint8Array(Math.min(WINDOW_BYTES, size - position));
      this.#start = position;
      await this.#source.read(this.#window, position);
    }
    into.set(this.#window.subarray(position - this.#start, position - this.#start + into.length));
  }
}

/** Turns what yauzl reports into an error that says what to do; for `.catch()`. */
function unreadable(file: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof SdConvertError) throw error;
    throw new FileFormatError(
      {
        problem: `${file} is cut short or damaged: its zip directory cannot be read.`,
        details: { found: error instanceof Error ? error.message : String(error) },
        advice: 'The download or copy was interrupted: download or copy it again.',
      },
      { cause: error },
    );
  };
}

function hostile(file: string, what: string, name: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} has a zip entry ${what}.`,
    details: { entry: quote(name) },
    advice: 'PyTorch does not write such files: do not use it unless you trust where it comes from.',
  });
}

function packed(file: string, name: string, how: string): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${file} has ${how} zip entries, which are not supported.`,
    details: { entry: quote(name) },
    advice: 'PyTorch writes them as they are: download the original file, or save the model again.',
  });
}

function tooManyEntries(file: string, found: number): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${file} has too many zip entries for a checkpoint.`,
    details: { expected: `at most ${MAX_ENTRIES}`, found: String(found) },
    advice: 'Check that it is the right file.',
  });
}
