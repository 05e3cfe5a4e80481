import type { BlockCoding } from '../block-coding.ts';
import { float16Table } from '../convert-dtype.ts';

/**
 * The types of ggml whose blocks have 32 elements and one scale (https://github.com/ggml-org/ggml, `ggml-common.h`):
 * the scale `d` and the least value `m` are float16s; of two elements in a byte, the one in the low nibble is of the
 * block's first half. Values agree with ggml's own in float32, bit for bit: what is multiplied here is exact, so that
 * storing rounds once, where ggml rounds.
 */

/** Unpacks one block: `b` from `at` into `v` from `to`. */
type Unpack = (b: Uint8Array, at: number, v: Float32Array, to: number) => void;

/** A coding from what unpacks one block. */
export function blockCoding(name: string, elements: number, bytes: number, unpack: Unpack): BlockCoding {
  return {
    name,
    elements,
    bytes,
    decode(packed, values) {
      for (let at = 0, to = 0; to < values.length; at += bytes, to += elements)
        unpack(packed, at, values, to);
    },
  };
}

/** The byte at an index, which must be there. */
export function byteAt(b: Uint8Array, at: number): number {
  return b[at] ?? 0;
}

/** The float16 at an index. */
export function halfAt(b: Uint8Array, at: number): number {
  return float16Table()[byteAt(b, at) | (byteAt(b, at + 1) << 8)] ?? 0;
}

/** The signed byte at an index. */
export function int8At(b: Uint8Array, at: number): number {
  return (byteAt(b, at) << 24) >> 24;
}

const HALF = 16;

/** Nibbles around 8. */
export const q4_0 = blockCoding('Q4_0', 32, 18, (b, at, v, to) => {
  const d = halfAt(b, at);
  for (let i = 0; i < HALF; i++) {
    const pair = byteAt(b, at + 2 + i);
    v[to + i] = d * ((pair & 15) - 8);
    v[to + HALF + i] = d * ((pair >> 4) - 8);
  }
});

/** Nibbles above a least value. */
export const q4_1 = blockCoding('Q4_1', 32, 20, (b, at, v, to) => {
  const [d, m] = [halfAt(b, at), halfAt(b, at + 2)];
  for (let i = 0; i < HALF; i++) {
    const pair = byteAt(b, at + 4 + i);
    v[to + i] = d * (pair & 15) + m;
    v[to + HALF + i] = d * (pair >> 4) + m;
  }
});

/** Numbers of 5 bits around 16: their highest bits stand together before the nibbles. */
export const q5_0 = blockCoding('Q5_0', 32, 22, (b, at, v, to) => {
  const d = halfAt(b, at);
  for (let i = 0; i < HALF; i++) {
    const pair = byteAt(b, at + 6 + i);
    v[to + i] = d * ((pair & 15) + 16 * bitAt(b, at + 2, i) - 16);
    v[to + HALF + i] = d * ((pair >> 4) + 16 * bitAt(b, at + 2, HALF + i) - 16);
  }
});

/** Numbers of 5 bits above a least value. */
export const q5_1 = blockCoding('Q5_1', 32, 24, (b, at, v, to) => {
  const [d, m] = [halfAt(b, at), halfAt(b, at + 2)];
  for (let i = 0; i < HALF; i++) {
    const pair = byteAt(b, at + 8 + i);
    v[to + i] = d * ((pair & 15) + 16 * bitAt(b, at + 4, i)) + m;
    v[to + HALF + i] = d * ((pair >> 4) + 16 * bitAt(b, at + 4, HALF + i)) + m;
  }
});

/** Signed bytes. */
export const q8_0 = blockCoding('Q8_0', 32, 34, (b, at, v, to) => {
  const d = halfAt(b, at);
  for (let i = 0; i < 32; i++) v[to + i] = d * int8At(b, at + 2 + i);
});

/** The 16 values that the nibbles of IQ4_NL and IQ4_XS stand for: closer together around 0. */
const iq4Values = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** 16 pairs of nibbles that stand for unevenly spaced values, times `d`. */
export function unpackIq4(b: Uint8Array, at: number, v: Float32Array, to: number, d: number): void {
  for (let i = 0; i < HALF; i++) {
    const pair = byteAt(b, at + i);
    v[to + i] = d * (iq4Values[pair & 15] ?? 0);
    v[to + HALF + i] = d * (iq4Values[pair >> 4] ?? 0);
  }
}

/** Nibbles that stand for unevenly spaced values. */
export const iq4_nl = blockCoding('IQ4_NL', 32, 18, (b, at, v, to) => {
  unpackIq4(b, at + 2, v, to, halfAt(b, at));
});

/** Bit `i` of the bits that begin at `at`, the lowest first. */
function bitAt(b: Uint8Array, at: number, i: number): number {
  return (byteAt(b, at + (i >> 3)) >> (i & 7)) & 1;
}
