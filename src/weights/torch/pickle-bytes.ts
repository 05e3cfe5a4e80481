/** The bytes that are there end before the pickle does. */
export class PickleEndsError extends Error {}

/** Reads a pickle's bytes one after another. Whatever length the file claims, nothing is reserved: strings are views. */
export class PickleBytes {
  position: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, position: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = position;
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** A length of 8 bytes; what does not fit a number is longer than any file. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  /** Floats are big-endian, unlike everything else. */
  float64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  view(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(length: number): string {
    return utf8.decode(this.view(length));
  }

  /** Up to the end of the line, which is read but not given. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    if (end < 0) throw new PickleEndsError();
    const text = this.text(end - this.position);
    this.#advance(1);
    return text;
  }

  #advance(length: number): number {
    const start = this.position;
    if (length < 0 || length > this.#bytes.length - start) throw new PickleEndsError();
    this.position += length;
    return start;
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
