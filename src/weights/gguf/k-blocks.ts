import { blockCoding, byteAt, halfAt, int8At, unpackIq4 } from './simple-blocks.ts';

/**
 * The types of ggml whose blocks have 256 elements in groups, each group with a small whole-number scale of its own
 * (https://github.com/ggml-org/ggml, `ggml-common.h`). Scales of 6 bits are scattered over 12 bytes; low and high bits of
 * the elements stand apart. As with the simple blocks, values agree with ggml's own in float32, bit for bit.
 */

const BLOCK = 256;

/** 2 bits an element; 16 groups of 16, each with 4 bits of scale and 4 of least value. */
export const q2_k = blockCoding('Q2_K', BLOCK, 84, (b, at, v, to) => {
  const [d, dMin] = [halfAt(b, at + 80), halfAt(b, at + 82)];
  for (let group = 0; group < 16; group++) {
    const scale = byteAt(b, at + group);
    const [step, least] = [d * (scale & 15), dMin * (scale >> 4)];
    for (let i = group * 16; i < group * 16 + 16; i++) v[to + i] = step * twoBits(b, at + 16, i) - least;
  }
});

/** 3 bits an element, the highest apart, around 4; 16 groups of 16, each with 6 bits of scale around 32. */
export const q3_k = blockCoding('Q3_K', BLOCK, 110, (b, at, v, to) => {
  const d = halfAt(b, at + 108);
  for (let group = 0; group < 16; group++) {
    const low = byteAt(b, at + 96 + (group & 7)) >> (group < 8 ? 0 : 4);
    const high = byteAt(b, at + 104 + (group & 3)) >> (2 * (group >> 2));
    const step = d * (((low & 15) | ((high & 3) << 4)) - 32);
    for (let i = group * 16; i < group * 16 + 16; i++) {
      const top = (byteAt(b, at + (i & 31)) >> (i >> 5)) & 1;
      v[to + i] = step * (twoBits(b, at + 32, i) + 4 * top - 4);
    }
  }
});

/** 4 bits an element; 8 groups of 32, each with 6 bits of scale and 6 of least value. */
export const q4_k = blockCoding('Q4_K', BLOCK, 144, (b, at, v, to) => {
  const [d, dMin] = [halfAt(b, at), halfAt(b, at + 2)];
  for (let group = 0; group < 8; group++) {
    const step = d * scaleOf(b, at + 4, group);
    const least = dMin * leastOf(b, at + 4, group);
    const [from, shift] = [at + 16 + (group >> 1) * 32, 4 * (group & 1)];
    for (let i = 0; i < 32; i++)
      v[to + group * 32 + i] = step * ((byteAt(b, from + i) >> shift) & 15) - least;
  }
});

/** As `Q4_K`, with a fifth bit for each element, apart. */
export const q5_k = blockCoding('Q5_K', BLOCK, 176, (b, at, v, to) => {
  const [d, dMin] = [halfAt(b, at), halfAt(b, at + 2)];
  for (let group = 0; group < 8; group++) {
    const step = d * scaleOf(b, at + 4, group);
    const least = dMin * leastOf(b, at + 4, group);
    const [from, shift] = [at + 48 + (group >> 1) * 32, 4 * (group & 1)];
    for (let i = 0; i < 32; i++) {
      const top = (byteAt(b, at + 16 + i) >> group) & 1;
      v[to + group * 32 + i] = step * (((byteAt(b, from + i) >> shift) & 15) + 16 * top) - least;
    }
  }
});

/** 6 bits an element, the two highest apart, around 32; 16 groups of 16, each with a signed byte of scale. */
export const q6_k = blockCoding('Q6_K', BLOCK, 210, (b, at, v, to) => {
  const d = halfAt(b, at + 208);
  for (let group = 0; group < 16; group++) {
    const step = d * int8At(b, at + 192 + group);
    for (let i = group * 16; i < group * 16 + 16; i++) {
      const low = (byteAt(b, at + (i >> 7) * 64 + (i & 63)) >> (4 * ((i >> 6) & 1))) & 15;
      v[to + i] = step * (low + 16 * twoBits(b, at + 128, i) - 32);
    }
  }
});

/** 4 bits an element that stand for unevenly spaced values; 8 groups of 32, each with 6 bits of scale around 32. */
export const iq4_xs = blockCoding('IQ4_XS', BLOCK, 136, (b, at, v, to) => {
  const d = halfAt(b, at);
  const highs = byteAt(b, at + 2) | (byteAt(b, at + 3) << 8);
  for (let group = 0; group < 8; group++) {
    const low = (byteAt(b, at + 4 + (group >> 1)) >> (4 * (group & 1))) & 15;
    const scale = (low | (((highs >> (2 * group)) & 3) << 4)) - 32;
    unpackIq4(b, at + 8 + group * 16, v, to + group * 32, d * scale);
  }
});

/** The two bits of element `i`: 32 bytes hold four times 32 elements, the first in their lowest bits. */
function twoBits(b: Uint8Array, at: number, i: number): number {
  return (byteAt(b, at + (i >> 7) * 32 + (i & 31)) >> (2 * ((i >> 5) & 3))) & 3;
}

/** The 6-bit scale of a group of `Q4_K` and `Q5_K`. */
function scaleOf(b: Uint8Array, at: number, group: number): number {
  if (group < 4) return byteAt(b, at + group) & 63;
  return (byteAt(b, at + 4 + group) & 15) | ((byteAt(b, at + group - 4) >> 2) & 48);
}

/** The 6-bit least value of a group of `Q4_K` and `Q5_K`. */
function leastOf(b: Uint8Array, at: number, group: number): number {
  if (group < 4) return byteAt(b, at + 4 + group) & 63;
  return (byteAt(b, at + 4 + group) >> 4) | ((byteAt(b, at + group) >> 2) & 48);
}
