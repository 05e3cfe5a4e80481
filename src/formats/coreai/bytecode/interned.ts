/** Encodings with numbers: equal ones have one number, in the order in which they came. */
export class Interned {
  readonly #numbers = new Map<string, number>();
  readonly all: Uint8Array[] = [];

  /** The number of an encoding; it must not change afterwards. */
  add(bytes: Uint8Array): number {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.all.push(bytes);
    this.#numbers.set(key, this.all.length - 1);
    return this.all.length - 1;
  }
}
