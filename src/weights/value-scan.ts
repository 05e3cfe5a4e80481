import { float16Table } from './convert-dtype.ts';
import { byteWidth } from './dtype.ts';

/**
 * Looks at every number that streams by, four bytes at a time, which costs a fraction of their conversion: only blocks that
 * hold a large number, an infinity or a NaN are looked through one by one, and elements are compared until two differ.
 */
export class ValueScan {
  /** Elements so far. */
  elements = 0;
  nan = 0;
  infinite = 0;
  /** Index of the first element that is NaN or infinite. */
  first: number | undefined;
  /** The largest finite magnitude, where it exceeds `HUGE`; else 0. */
  largest = 0;
  readonly #dtype: 'f16' | 'f32';
  readonly #bits: Bits;
  /** The first four bytes, of float16 the first number twice. */
  #start: number | undefined;
  #isConstant = true;
  #isZero = true;

  constructor(dtype: 'f16' | 'f32') {
    this.#dtype = dtype;
    this.#bits = bitsOf[dtype];
  }

  /** Looks at the next elements, little-endian. */
  add(block: Uint8Array): void {
    if (block.length === 0) return;
    const bytes = block.byteOffset % 4 === 0 ? block : block.slice();
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    // The last of an odd number of float16s, as a pair of its own.
    const rest = bytes.length % 4 === 0 ? undefined : Int32Array.of(pairAt(bytes, bytes.length - 2));
    this.#start ??= this.#dtype === 'f16' ? pairAt(bytes, 0) : (words[0] ?? 0);
    for (const each of rest ? [words, rest] : [words]) this.#compare(each, this.#start);
    if (hasLarge(words, this.#bits) || (rest && hasLarge(rest, this.#bits)))
      this.#lookAt(this.#valuesOf(bytes));
    this.elements += bytes.length / byteWidth(this.#dtype);
  }

  /** The one number that all elements are, to the bit; 0 for zeros of either sign. `undefined` where they differ. */
  get constant(): number | undefined {
    if (this.#start === undefined) return undefined;
    if (this.#isZero) return 0;
    return this.#isConstant
      ? this.#valuesOf(new Uint8Array(Int32Array.of(this.#start).buffer)).at(0)
      : undefined;
  }

  /** Ends with the first difference: in a trained weight, with the second word. */
  #compare(words: Int32Array, start: number): void {
    if (this.#isConstant) this.#isConstant = words.every((word) => word === start);
    if (this.#isZero) this.#isZero = words.every((word) => (word & this.#bits.magnitude) === 0);
  }

  #lookAt(values: Values): void {
    for (let i = 0; i < values.length; i++) {
      const value = values.at(i);
      const size = Math.abs(value);
      if (size < Number.POSITIVE_INFINITY) {
        if (size > HUGE && size > this.largest) this.largest = size;
        continue;
      }
      if (Number.isNaN(value)) this.nan++;
      else this.infinite++;
      this.first ??= this.elements + i;
    }
  }

  #valuesOf({ buffer, byteOffset, byteLength }: Uint8Array): Values {
    if (this.#dtype === 'f32') {
      const values = new Float32Array(buffer, byteOffset, byteLength / 4);
      return { length: values.length, at: (i) => values[i] ?? 0 };
    }
    const [codes, table] = [new Uint16Array(buffer, byteOffset, byteLength / 2), float16Table()];
    return { length: codes.length, at: (i) => table[codes[i] ?? 0] ?? 0 };
  }
}

/** No trained layer has weights beyond this. */
export const HUGE = 1e4;

/** The elements of a block as numbers. */
interface Values {
  readonly length: number;
  readonly at: (index: number) => number;
}

/** Of a word of four bytes, which holds one float32 or two float16s. */
interface Bits {
  /** All but the signs. */
  readonly magnitude: number;
  readonly signs: number;
  /** What carries a magnitude of `HUGE` or more, an infinity and a NaN into its sign bit, and nothing into the next number. */
  readonly toSign: number;
}

const bitsOf: Readonly<Record<'f16' | 'f32', Bits>> = {
  f16: { magnitude: 0x7fff7fff, signs: 0x80008000, toSign: 0x0f1e0f1e }, // 0x8000 − 0x70e2, the code of 10⁴
  f32: { magnitude: 0x7fffffff, signs: 0x80000000, toSign: 0x39e3c000 }, // 0x80000000 − 0x461c4000
};

/** Whether one of the numbers is `HUGE` or more, infinite or NaN. It runs over whole models: four words a turn take half the time of one. */
function hasLarge(words: Int32Array, bits: Bits): boolean {
  const fours = words.length - (words.length % 4);
  let large = 0;
  for (let i = 0; i < fours; i += 4)
    large |=
      carry(words[i], bits) |
      carry(words[i + 1], bits) |
      carry(words[i + 2], bits) |
      carry(words[i + 3], bits);
  for (let i = fours; i < words.length; i++) large |= carry(words[i], bits);
  return (large & bits.signs) !== 0;
}

/** A word whose signs say which of its numbers are large. */
function carry(word = 0, { magnitude, toSign }: Bits): number {
  return ((word & magnitude) + toSign) | 0;
}

/** A float16's two bytes twice. */
function pairAt(bytes: Uint8Array, at: number): number {
  const code = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  return code | (code << 16);
}
