/**
 * Memory for arrays that are all needed at the same time, and then none of them: new arrays for each of a thousand weights would
 * leave more garbage behind than a conversion holds.
 */
export class Room {
  readonly #memory: ArrayBuffer;
  #taken = 0;

  /** Room for so many bytes, which take memory as they are used. */
  constructor(byteLength: number) {
    this.#memory = new ArrayBuffer(byteLength);
  }

  /** Takes all arrays back. */
  clear(): void {
    this.#taken = 0;
  }

  /** An array of zeros. Throws `RangeError` beyond what there is room for, or behind an odd number of `uint32`. */
  float64(length: number): Float64Array {
    return this.#take(new Float64Array(this.#memory, this.#taken, length));
  }

  /** An array of zeros. Throws `RangeError` beyond what there is room for. */
  uint32(length: number): Uint32Array {
    return this.#take(new Uint32Array(this.#memory, this.#taken, length));
  }

  #take<A extends Float64Array | Uint32Array>(array: A): A {
    this.#taken += array.byteLength;
    array.fill(0);
    return array;
  }
}
