import type { Mutator } from './format.ts';
import { LARGEST_INPUT, littleEndian, mutateBytes, oddNumber } from './mutate-bytes.ts';
import { oddTexts } from './mutate-text.ts';
import type { Random } from './random.ts';

/** A field of a message; what has a length may be a message itself. */
interface Field {
  readonly number: number;
  readonly wire: number;
  /** A varint's value, or the bytes of anything else. */
  readonly value: bigint | Uint8Array;
  /** As it stands in its message; absent where it was changed. */
  readonly whole?: Uint8Array;
}

/**
 * Changes a protobuf message field by field, at any depth; no schema is needed. Lengths around a change are right again, so
 * that what is reached is the reading of messages and not of lengths.
 */
export const mutateProtobuf: Mutator = (bytes, random) => {
  const fields = parse(bytes);
  if (!fields || fields.length === 0) return mutateBytes(bytes, random);
  return encode(changed(fields, random, 0)).slice(0, LARGEST_INPUT);
};

/** Deep messages are reached in many steps; this many at most. */
const DEEPEST = 12;

function changed(fields: readonly Field[], random: Random, depth: number): Field[] {
  const at = random.below(fields.length);
  const field = fields[at];
  if (!field) return [];
  const { number, wire, value } = field;
  const inner = typeof value === 'bigint' ? undefined : parse(value);
  if (inner?.length && depth < DEEPEST && !random.oneIn(5))
    return fields.with(at, { number, wire, value: encode(changed(inner, random, depth + 1)) });
  switch (random.below(9)) {
    case 0:
      return fields.toSpliced(at, 1);
    case 1:
      return fields.toSpliced(at, 0, ...new Array<Field>(random.length(1000)).fill(field));
    case 2:
      return fields.with(at, random.pick(fields));
    case 3:
      return fields.with(at, { number: 1 + random.below(32), wire, value });
    case 4:
      return fields.with(at, { number, wire, value: nestedIn(field, random) });
    default:
      return fields.with(at, { number, wire, value: replaced(value, random) });
  }
}

function replaced(value: bigint | Uint8Array, random: Random): bigint | Uint8Array {
  if (typeof value === 'bigint') return oddNumber(random);
  switch (random.below(4)) {
    case 0:
      return new TextEncoder().encode(random.pick(oddTexts));
    case 1:
      return packed(random);
    default:
      return mutateBytes(value, random);
  }
}

/** Many varints in a row, as lists of numbers are. */
function packed(random: Random): Uint8Array {
  return Buffer.concat(Array.from({ length: random.length(1000) }, () => varint(oddNumber(random))));
}

/** A field within itself, over and over. */
function nestedIn({ number, value }: Field, random: Random): bigint | Uint8Array {
  if (typeof value === 'bigint') return value;
  let bytes = value;
  const depth = random.length(2000);
  for (let level = 0; level < depth && bytes.length < LARGEST_INPUT / 4; level++)
    bytes = encode([{ number, wire: 2, value: bytes }]);
  return bytes;
}

/** The fields of a message; `undefined` for bytes that are none. */
function parse(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length; ) {
    const key = readVarint(bytes, at);
    const number = key && Math.floor(key.value / 8);
    if (!key || !number || number > 0x1fffffff) return undefined;
    const wire = key.value % 8;
    const start = at;
    const add = (value: bigint | Uint8Array): void => {
      fields.push({ number, wire, value, whole: bytes.subarray(start, at) });
    };
    const size = widths.get(wire);
    if (wire === 0 || wire === 2) {
      const found = readVarint(bytes, key.end);
      if (!found) return undefined;
      at = wire === 2 ? found.end + found.value : found.end;
      if (at > bytes.length) return undefined;
      add(
        wire === 2 ? bytes.subarray(found.end, at) : exactly(found.value, bytes.subarray(key.end, found.end)),
      );
    } else if (size !== undefined && key.end + size <= bytes.length) {
      at = key.end + size;
      add(bytes.subarray(key.end, at));
    } else return undefined;
  }
  return fields;
}

const widths: ReadonlyMap<number, number> = new Map([
  [1, 8],
  [5, 4],
]);

function encode(fields: readonly Field[]): Uint8Array {
  return Buffer.concat(
    fields.flatMap(({ number, wire, value, whole }) => {
      if (whole) return [whole];
      const key = varint(BigInt(number * 8 + wire));
      if (typeof value === 'bigint') return [key, wire === 0 ? varint(value) : littleEndian(value, 8)];
      return wire === 2 ? [key, varint(BigInt(value.length)), value] : [key, value];
    }),
  );
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** A number above 2^53 is not exact: lengths and keys are smaller. */
function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  let weight = 1;
  for (let at = start; at < Math.min(bytes.length, start + 10); at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 127) * weight;
    if (byte < 128) return { value, end: at + 1 };
    weight *= 128;
  }
  return undefined;
}

function exactly(value: number, varint: Uint8Array): bigint {
  if (Number.isSafeInteger(value)) return BigInt(value);
  return varint.reduceRight((sum, byte) => (sum << 7n) | BigInt(byte & 127), 0n);
}
