/** Reads the numbers of MLIR's bytecode (https://mlir.llvm.org/docs/BytecodeFormat/) from bytes in memory; nothing beyond their end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Position of the next byte. */
  get at(): number {
    return this.#at;
  }

  /** Number of bytes that are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new MalformedError('a part of it ends too early');
    this.#at++;
    return byte;
  }

  /** A stretch of the same memory. */
  bytes(length: number): Uint8Array {
    if (length > this.left) throw new MalformedError('a part of it is longer than what it is in');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** A whole number of 0 and more, in 1 to 9 bytes. Throws for one that is not exact in a float64. */
  varint(): number {
    const value = this.#prefixed();
    if (!Number.isSafeInteger(value)) throw new MalformedError('a number in it is too large');
    return Number(value);
  }

  /** A whole number with its sign in the lowest bit (zigzag), of 64 bits. */
  signed(): bigint {
    const value = BigInt(this.#prefixed());
    return (value >> 1n) ^ -(value & 1n);
  }

  /** The bits of a number whose sign is in the lowest bit (zigzag), as a number of 64 bits without a sign. */
  bits(): bigint {
    return BigInt.asUintN(64, this.signed());
  }

  /** A list: its length, which cannot be more than the bytes that are left, and its elements. */
  list<T>(element: () => T): T[] {
    return this.times(this.varint(), element);
  }

  /** As many elements as a file says that there are; each takes a byte or more. */
  times<T>(count: number, element: () => T): T[] {
    if (count > this.left) throw new MalformedError('a list in it is longer than what it is in');
    const found: T[] = [];
    while (found.length < count) found.push(element());
    return found;
  }

  /** A text of UTF-8 that ends with a zero. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new MalformedError('a text in it does not end');
    const text = decoder.decode(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return text;
  }

  /** The lowest bits of the first byte say how many bytes follow: as many as there are zeros before the first one. */
  #prefixed(): number | bigint {
    const first = this.byte();
    if (first & 1) return first >>> 1;
    const more = first === 0 ? 8 : 31 - Math.clz32(first & -first);
    const rest = littleEndian(this.bytes(more));
    const value = more === 8 ? rest : (rest << BigInt(7 - more)) | BigInt(first >>> (more + 1));
    return value <= MOST ? Number(value) : value;
  }
}

const decoder = new TextDecoder();

const MOST = BigInt(Number.MAX_SAFE_INTEGER);

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Bytes that contradict themselves; what is wrong completes "it is damaged: …". */
export class MalformedError extends Error {}

/** An element by its number. Throws `MalformedError` where there is none. */
export function pick<T>(list: readonly T[], index: number, what: string): T {
  const found = list[index];
  if (found === undefined)
    throw new MalformedError(`it names the ${what} of number ${index}, and has ${list.length}`);
  return found;
}

/** Bytes that are intact as far as can be told, but of a kind that is not read; completes "it has …". */
export class NotReadError extends Error {}

/** Longest name of anything, as it is stored: one name may be repeated for everything in a program. */
const LONGEST_NAME = 256;

/** A name. Throws `MalformedError` for one that is longer than any. */
export function checkName(name: string): string {
  if (name.length > LONGEST_NAME) throw new MalformedError(`a name in it has ${name.length} letters`);
  return name;
}

/** Bytes in another version or encoding than is read, whatever they hold. */
export class OtherVersionError extends NotReadError {}
