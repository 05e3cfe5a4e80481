/** Collects bytes with the numbers of MLIR's bytecode (https://mlir.llvm.org/docs/BytecodeFormat/). */
export class ByteWriter {
  #bytes = new Uint8Array(64);
  #length = 0;

  /** Number of bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** The bytes so far. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  byte(value: number): this {
    this.#reserve(1)[0] = value;
    return this;
  }

  bytes(values: Uint8Array): this {
    this.#reserve(values.length).set(values);
    return this;
  }

  /** A whole number from 0 to 2⁶⁴−1 in 1 to 9 bytes: the lowest bits say how many follow the first. */
  varint(value: number | bigint): this {
    if (value < 0x80) return this.byte((Number(value) << 1) | 1);
    const whole = BigInt(value);
    let count = 2;
    while (count < 9 && whole >> BigInt(7 * count) > 0n) count++;
    const into = this.#reserve(count);
    const marked = count === 9 ? whole << 8n : (whole << BigInt(count)) | (1n << BigInt(count - 1));
    for (let at = 0; at < count; at++) into[at] = Number((marked >> BigInt(8 * at)) & 0xffn);
    return this;
  }

  /** A whole number of 64 bits with its sign in the lowest bit (zigzag). */
  signed(value: number | bigint): this {
    const whole = BigInt.asIntN(64, BigInt(value));
    return this.varint(BigInt.asUintN(64, (whole << 1n) ^ (whole >> 63n)));
  }

  /** A list: its length and its elements. */
  list<T>(items: readonly T[], write: (item: T) => void): this {
    this.varint(items.length);
    for (const item of items) write(item);
    return this;
  }

  /** A number and a flag in its lowest bit. */
  flagged(value: number, flag: boolean): this {
    return this.varint(value * 2 + Number(flag));
  }

  #reserve(count: number): Uint8Array {
    const end = this.#length + count;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.written);
      this.#bytes = larger;
    }
    const room = this.#bytes.subarray(this.#length, end);
    this.#length = end;
    return room;
  }
}
