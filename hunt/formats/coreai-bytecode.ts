import type { Mutator } from '../format.ts';
import { LARGEST_INPUT, littleEndian, mutateBytes, oddNumber, spliced } from '../mutate-bytes.ts';
import type { Random } from '../random.ts';

/** A section of MLIR's bytecode. */
interface Section {
  readonly id: number;
  readonly alignment: number | undefined;
  readonly body: Uint8Array;
}

interface File {
  /** Magic, version and producer. */
  readonly head: Uint8Array;
  readonly sections: readonly Section[];
}

/** The sections whose lists are mended after a change: of attributes and types, and of their sizes. */
const ENTRIES = 2;
const SIZES = 3;

/**
 * Changes a program section by section: a number in it, bytes of it, an attribute or type with its size, a section as a whole. Lengths
 * around a change are right again, so that what is reached is the reading of programs and not of lengths.
 */
export const mutateBytecode: Mutator = (bytes, random) => {
  const file = parse(bytes);
  if (!file || file.sections.length === 0) return mutateBytes(bytes, random);
  const { head, sections } = file;
  const at = random.below(sections.length);
  const section = sections[at] ?? { id: 0, alignment: undefined, body: new Uint8Array() };
  const others = (body: Uint8Array): File => ({ head, sections: sections.with(at, { ...section, body }) });
  switch (random.below(10)) {
    case 0:
      return encode({ head, sections: sections.toSpliced(at, 1) });
    case 1:
      return encode({ head, sections: sections.toSpliced(at, 0, random.pick(sections)) });
    case 2:
      return encode({ head: mutateNumber(head, random), sections });
    case 3:
      return encode(others(mutateBytes(section.body, random)));
    case 4:
    case 5:
    case 6:
      return encode(changedEntry(file, random));
    default:
      return encode(others(mutateNumber(section.body, random)));
  }
};

/** Puts another number in the place of one, before it, or takes it away. */
function mutateNumber(bytes: Uint8Array, random: Random): Uint8Array {
  const starts: number[] = [];
  for (let at = 0; at < bytes.length; at += widthAt(bytes, at)) starts.push(at);
  if (starts.length === 0) return varint(oddNumber(random));
  const start = random.pick(starts);
  const end = random.oneIn(4) ? start : start + widthAt(bytes, start);
  const number = random.oneIn(2) ? BigInt(random.below(64)) : oddNumber(random);
  return spliced(bytes, start, end, random.oneIn(6) ? new Uint8Array() : varint(number));
}

/** Changes one attribute or type, and its size in the section of sizes. */
function changedEntry({ head, sections }: File, random: Random): File {
  const [entries, sizes] = [ENTRIES, SIZES].map((id) => sections.find((each) => each.id === id));
  const list = entries && sizes && readSizes(sizes.body);
  if (!entries || !sizes || !list || list.length === 0) return { head, sections };
  const chosen = random.below(list.length);
  const { at, offset, size } = list[chosen] ?? { at: 0, offset: 0, size: 0 };
  const entry = entries.body.slice(offset, offset + size);
  const changed = (random.oneIn(3) ? mutateBytes : mutateNumber)(entry, random);
  const bodies = new Map([
    [ENTRIES, spliced(entries.body, offset, offset + size, changed)],
    [SIZES, spliced(sizes.body, at, at + widthAt(sizes.body, at), varint(BigInt(changed.length * 2 + 1)))],
  ]);
  return { head, sections: sections.map((each) => ({ ...each, body: bodies.get(each.id) ?? each.body })) };
}

/** The sizes of all attributes and types, and where they stand. */
function readSizes(bytes: Uint8Array): { at: number; offset: number; size: number }[] {
  const found: { at: number; offset: number; size: number }[] = [];
  let [at, offset] = [0, 0];
  const next = (): number => {
    const value = numberAt(bytes, at);
    at += widthAt(bytes, at);
    return value;
  };
  next();
  next();
  while (at < bytes.length) {
    next(); // the dialect
    for (let left = next(); left > 0 && at < bytes.length; left--) {
      const start = at;
      const size = Math.floor(next() / 2);
      found.push({ at: start, offset, size });
      offset += size;
    }
  }
  return found;
}

/** The sections of a file; `undefined` for one whose lengths do not fit. */
function parse(bytes: Uint8Array): File | undefined {
  const end = bytes.indexOf(0, 4 + widthAt(bytes, 4));
  if (end < 0) return undefined;
  const sections: Section[] = [];
  for (let at = end + 1; at < bytes.length; ) {
    const first = bytes[at] ?? 0;
    let body = at + 1 + widthAt(bytes, at + 1);
    const length = numberAt(bytes, at + 1);
    const alignment = first & 0x80 ? numberAt(bytes, body) : undefined;
    if (alignment) body = Math.ceil((body + widthAt(bytes, body)) / alignment) * alignment;
    if (body + length > bytes.length) return undefined;
    sections.push({ id: first & 0x7f, alignment, body: bytes.slice(body, body + length) });
    at = body + length;
  }
  return { head: bytes.slice(0, end + 1), sections };
}

function encode({ head, sections }: File): Uint8Array {
  let bytes = Buffer.from(head);
  for (const { id, alignment, body } of sections) {
    const start = [Uint8Array.of(id | (alignment ? 0x80 : 0)), varint(BigInt(body.length))];
    bytes = Buffer.concat([bytes, ...start, ...(alignment ? [varint(BigInt(alignment))] : [])]);
    const padding = alignment ? (alignment - (bytes.length % alignment)) % alignment : 0;
    bytes = Buffer.concat([bytes, new Uint8Array(Math.min(padding, 4096)).fill(0xcb), body]);
  }
  return new Uint8Array(bytes.subarray(0, LARGEST_INPUT));
}

/** Bytes of the number that begins somewhere: one more than its first byte has zeros below the first one. */
function widthAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 1;
  return first === 0 ? 9 : 32 - Math.clz32(first & -first);
}

function numberAt(bytes: Uint8Array, at: number): number {
  const width = widthAt(bytes, at);
  const stored = bytes.slice(at, at + width).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  return Number(stored >> BigInt(width));
}

function varint(value: bigint): Uint8Array {
  const whole = BigInt.asUintN(64, value);
  for (let width = 1; width < 9; width++)
    if (whole < 1n << BigInt(7 * width))
      return littleEndian((whole << BigInt(width)) | (1n << BigInt(width - 1)), width);
  return Uint8Array.of(0, ...littleEndian(whole, 8));
}
