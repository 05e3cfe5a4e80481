import type { PaletteBits } from './palette.ts';

/**
 * Turns float16 codes into indices of 1 to 8 bits, packed into one stream of bits, each byte's lowest bit first; an index
 * may straddle two bytes. Core ML stores indices so (as bytes until iOS 17, as `uint1` … `uint8` since), and a byte holds
 * the same as ONNX's `uint4` and `uint2`.
 */
export class IndexPacker {
  readonly #bits: PaletteBits;
  /** Indices that did not fill a group of 8 yet, which is a whole number of bytes at any width. */
  readonly #rest = new Uint8Array(8);
  #resting = 0;

  constructor(bits: PaletteBits) {
    this.#bits = bits;
  }

  /**
   * Packs the indices that `table` has for some codes; writes whole bytes into `into` and gives how many. `into` needs room
   * for `codes.length + 8` indices.
   */
  pack(codes: Uint16Array, table: Uint8Array, into: Uint8Array): number {
    let taken = 0;
    let written = 0;
    if (this.#resting > 0) {
      while (this.#resting < 8 && taken < codes.length) {
        this.#rest[this.#resting++] = table[codes[taken++] ?? 0] ?? 0;
      }
      if (this.#resting < 8) return 0;
      packEight(this.#rest, this.#bits, into, 0);
      this.#resting = 0;
      written = this.#bits;
    }
    const whole = codes.length - ((codes.length - taken) % 8);
    written += packers[this.#bits](codes, taken, whole, table, into, written);
    for (let at = whole; at < codes.length; at++) {
      this.#rest[this.#resting++] = table[codes[at] ?? 0] ?? 0;
    }
    return written;
  }

  /** Packs the remaining indices, with zeros in the unused bits of the last byte; returns the number of bytes. */
  finish(into: Uint8Array): number {
    const bytes = Math.ceil((this.#resting * this.#bits) / 8);
    const last = new Uint8Array(8);
    packEight(this.#rest.fill(0, this.#resting), this.#bits, last, 0);
    into.set(last.subarray(0, bytes));
    this.#resting = 0;
    return bytes;
  }
}

/** Bytes of `count` packed indices. */
export function packedSize(count: number, bits: PaletteBits): number {
  return Math.ceil((count * bits) / 8);
}

type Packer = (
  codes: Uint16Array,
  begin: number,
  end: number,
  table: Uint8Array,
  into: Uint8Array,
  at: number,
) => number;

/** Eight indices as `bits` bytes. */
function packEight(indices: Uint8Array, bits: PaletteBits, into: Uint8Array, at: number): void {
  let [held, holding, written] = [0, 0, at];
  for (let i = 0; i < 8; i++) {
    held |= (indices[i] ?? 0) << holding;
    holding += bits;
    while (holding >= 8) {
      into[written++] = held;
      held >>>= 8;
      holding -= 8;
    }
  }
}

/** A packer for each width, since a loop that knows its width packs an element in a nanosecond; `end − begin` is a multiple of 8. */
const packers: { readonly [B in PaletteBits]: Packer } = {
  1: general(1),
  2: general(2),
  3: general(3),

  4(codes, begin, end, table, into, at) {
    let written = at;
    for (let i = begin; i < end; i += 2) {
      into[written++] = (table[codes[i] ?? 0] ?? 0) | ((table[codes[i + 1] ?? 0] ?? 0) << 4);
    }
    return written - at;
  },

  6(codes, begin, end, table, into, at) {
    let written = at;
    for (let i = begin; i < end; i += 4) {
      const group =
        (table[codes[i] ?? 0] ?? 0) |
        ((table[codes[i + 1] ?? 0] ?? 0) << 6) |
        ((table[codes[i + 2] ?? 0] ?? 0) << 12) |
        ((table[codes[i + 3] ?? 0] ?? 0) << 18);
      into[written] = group;
      into[written + 1] = group >> 8;
      into[written + 2] = group >> 16;
      written += 3;
    }
    return written - at;
  },

  8(codes, begin, end, table, into, at) {
    for (let i = begin; i < end; i++) into[at + i - begin] = table[codes[i] ?? 0] ?? 0;
    return end - begin;
  },
};

function general(bits: 1 | 2 | 3): Packer {
  return (codes, begin, end, table, into, at) => {
    let written = at;
    for (let i = begin; i < end; i += 8) {
      let group = 0;
      for (let j = 0; j < 8; j++) group |= (table[codes[i + j] ?? 0] ?? 0) << (j * bits);
      for (let byte = 0; byte < bits; byte++) into[written++] = group >> (8 * byte);
    }
    return written - at;
  };
}
