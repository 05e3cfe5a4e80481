import type { ByteSource } from '../../../io/bytes.ts';
import { countBytes, quote } from '../../../io/error-text.ts';
import { ByteReader, checkName, MalformedError, OtherVersionError, pick } from './byte-reader.ts';
import { DIALECT, ENCODING, MAGIC, sectionIds } from './codes.ts';
import { readResources } from './read-resources.ts';
import type { StoredTensor } from './stored-tensor.ts';

/**
 * The container of a program: MLIR's bytecode (https://mlir.llvm.org/docs/BytecodeFormat/), of which Core AI uses one
 * dialect. All sections but the resources, the weights, are read into memory.
 */
export interface Container {
  /** Names of the operations, by their numbers: `primitive.conv2d_v1`. */
  readonly operations: readonly string[];
  readonly strings: readonly string[];
  /** The encodings of the attributes and types, by their numbers. */
  readonly attributes: readonly Uint8Array[];
  readonly types: readonly Uint8Array[];
  readonly properties: readonly Uint8Array[];
  readonly resources: readonly StoredTensor[];
  /** The block with the program's operations. */
  readonly program: Uint8Array;
}

/** The versions of the container that Apple's runtime takes. */
const VERSIONS = [5, 6];

/** More than a program ever needs beside its weights: the largest known ones have a hundredth of it. */
const LARGEST_PROGRAM = 1 << 28;

/** Longest name of the program that wrote a file. */
const LONGEST_PRODUCER = 1 << 10;

/** Longest beginning of a section: number, length and alignment. */
const LONGEST_HEAD = 1 + 9 + 9;

/** A part of the file. */
interface Section {
  readonly offset: number;
  readonly byteLength: number;
}

/**
 * Reads a program's container, but none of its weights. Throws `MalformedError` for bytes that contradict themselves or end
 * too early, `OtherVersionError` for other versions; every size is compared with the file's before anything is read.
 */
export async function readContainer(file: ByteSource): Promise<Container> {
  const places = await readPlaces(file);
  const section = async (id: number, what: string): Promise<ByteReader> => {
    const place = places.get(id);
    if (!place) throw new MalformedError(`it has no ${what}`);
    return new ByteReader(await read(file, place));
  };
  checkSize(places);
  const strings = readStrings(await section(sectionIds.strings, 'texts'));
  const operations = readDialects(await section(sectionIds.dialects, 'names of operations'), strings);
  const sizes = readEntrySizes(await section(sectionIds.entrySizes, 'sizes of its attributes'));
  const entries = cut(await section(sectionIds.entries, 'attributes'), sizes.all);
  const resources = places.get(sectionIds.resourceSizes);
  return {
    strings,
    operations,
    attributes: entries.slice(0, sizes.attributes),
    types: entries.slice(sizes.attributes),
    properties: places.has(sectionIds.properties)
      ? readProperties(await section(sectionIds.properties, 'properties'))
      : [],
    resources: resources
      ? await readResources(
          file,
          new ByteReader(await read(file, resources)),
          strings,
          places.get(sectionIds.resources),
        )
      : [],
    program: await read(file, places.get(sectionIds.program) ?? missingProgram()),
  };
}

function missingProgram(): never {
  throw new MalformedError('it has no operations');
}

async function read(file: ByteSource, { offset, byteLength }: Section): Promise<Uint8Array> {
  const bytes = new Uint8Array(byteLength);
  await file.read(bytes, offset);
  return bytes;
}

/** Finds the sections, each of which is in the file. */
async function readPlaces(file: ByteSource): Promise<Map<number, Section>> {
  const places = new Map<number, Section>();
  for (let at = await readHeader(file); at < file.size; ) {
    const { id, ...section } = await readHead(file, at);
    if (places.has(id)) throw new MalformedError(`it has two sections of number ${id}`);
    places.set(id, section);
    at = section.offset + section.byteLength;
  }
  return places;
}

/** Reads what comes before the sections; gives the offset of the first. */
async function readHeader(file: ByteSource): Promise<number> {
  const start = await peek(file, 0, LONGEST_PRODUCER);
  start.bytes(MAGIC.length); // as `isBytecode` found it
  const version = start.varint();
  if (!VERSIONS.includes(version))
    throw new OtherVersionError(`version ${version} of MLIR's bytecode, and version 5 or 6 is read`);
  start.text();
  return start.at;
}

/** Whether bytes begin as MLIR's bytecode does; 4 are enough. */
export function isBytecode(start: Uint8Array): boolean {
  return MAGIC.every((byte, index) => start[index] === byte);
}

async function readHead(file: ByteSource, at: number): Promise<Section & { readonly id: number }> {
  const head = await peek(file, at, LONGEST_HEAD);
  const first = head.byte();
  const id = first & 0x7f;
  if (id > sectionIds.properties)
    throw new MalformedError(`it has a section of number ${id}, which is not known`);
  const byteLength = head.varint();
  const alignment = first & 0x80 ? head.varint() : 1;
  const begin = at + head.at;
  const offset = Math.ceil(begin / Math.max(1, alignment)) * Math.max(1, alignment);
  if (offset + byteLength <= file.size) return { id, offset, byteLength };
  throw new MalformedError(
    `it is cut short, or a size in it is wrong: section ${id} has ${countBytes(byteLength)}, of which ${countBytes(Math.max(0, file.size - begin))} are there`,
  );
}

async function peek(file: ByteSource, at: number, most: number): Promise<ByteReader> {
  return new ByteReader(await read(file, { offset: at, byteLength: Math.min(most, file.size - at) }));
}

/** What is read into memory is little. */
function checkSize(places: ReadonlyMap<number, Section>): void {
  const total = [...places]
    .filter(([id]) => id !== sectionIds.resources)
    .reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
  if (total > LARGEST_PROGRAM)
    throw new MalformedError(`it has ${countBytes(total)} beside its weights, more than any program needs`);
}

function readStrings(section: ByteReader): string[] {
  const lengths = section.list(() => section.varint()).reverse();
  return lengths.map((length) => new ByteReader(section.bytes(length)).text());
}

/** Gives the names of the operations. Throws for another dialect than Core AI's, and for another version of it. */
function readDialects(section: ByteReader, strings: readonly string[]): string[] {
  const dialects = section.list(() => {
    const name = section.varint();
    const version = name % 2 === 1 ? readDialectVersion(section) : undefined;
    return { name: pick(strings, Math.floor(name / 2), 'text'), version };
  });
  for (const { name, version } of dialects) {
    if (name !== DIALECT)
      throw new OtherVersionError(`operations of ${quote(name)}, and those of Core AI are read`);
    if (version !== ENCODING)
      throw new OtherVersionError(
        `${version === undefined ? 'no version' : `version ${version}`} of Core AI's encoding, and version ${ENCODING} is read`,
      );
  }
  section.varint(); // the number of all operations
  const operations: string[][] = [];
  while (section.left > 0) {
    pick(dialects, section.varint(), 'dialect');
    operations.push(section.list(() => checkName(pick(strings, Math.floor(section.varint() / 2), 'text'))));
  }
  return operations.flat();
}

function readDialectVersion(section: ByteReader): number {
  const first = section.byte();
  if (first !== sectionIds.dialectVersion)
    throw new MalformedError('a dialect has no version where it says so');
  return new ByteReader(section.bytes(section.varint())).varint();
}

/** The sizes of all attributes and types, and how many of them are attributes. */
function readEntrySizes(section: ByteReader): {
  readonly attributes: number;
  readonly all: readonly number[];
} {
  const [attributes, types] = [section.varint(), section.varint()];
  const groups: number[][] = [];
  for (let count = 0; count < attributes + types; ) {
    section.varint(); // the dialect: there is one
    const sizes = section.list(() => section.varint());
    if (sizes.some((size) => size % 2 === 0))
      throw new OtherVersionError(
        'attributes written as text, and those in the encoding of Core AI are read',
      );
    count += sizes.length;
    groups.push(sizes.map((size) => Math.floor(size / 2)));
  }
  const all = groups.flat();
  if (all.length > attributes + types) throw new MalformedError('it has more attributes than it says');
  return { attributes, all };
}

function cut(section: ByteReader, sizes: readonly number[]): Uint8Array[] {
  const entries = sizes.map((size) => section.bytes(size));
  if (section.left > 0) throw new MalformedError('its attributes are not of the sizes that it says');
  return entries;
}

function readProperties(section: ByteReader): Uint8Array[] {
  return section.list(() => section.bytes(section.varint()));
}
