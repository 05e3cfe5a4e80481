import type { BlockCoding } from '../block-coding.ts';
import { byteWidth, type DType } from '../dtype.ts';
import { iq4_xs, q2_k, q3_k, q4_k, q5_k, q6_k } from './k-blocks.ts';
import { iq4_nl, q4_0, q4_1, q5_0, q5_1, q8_0 } from './simple-blocks.ts';

/** A type of numbers in a GGUF file: plain elements of a dtype, or blocks that are unpacked. */
export interface GgufType {
  readonly name: string;
  /** Elements of one block; 1 for plain elements. */
  readonly elements: number;
  /** Bytes of one block. */
  readonly bytes: number;
  /** Decoding of its numbers to float32: a dtype, or a coding. */
  readonly as: DType | BlockCoding;
}

/** The types that are read, by their number in a file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). */
export const ggufTypes: ReadonlyMap<number, GgufType> = new Map([
  [0, plain('F32', 'f32')],
  [1, plain('F16', 'f16')],
  [2, packed(q4_0)],
  [3, packed(q4_1)],
  [6, packed(q5_0)],
  [7, packed(q5_1)],
  [8, packed(q8_0)],
  [10, packed(q2_k)],
  [11, packed(q3_k)],
  [12, packed(q4_k)],
  [13, packed(q5_k)],
  [14, packed(q6_k)],
  [20, packed(iq4_nl)],
  [23, packed(iq4_xs)],
  [24, plain('I8', 'i8')],
  [25, plain('I16', 'i16')],
  [26, plain('I32', 'i32')],
  [27, plain('I64', 'i64')],
  [28, plain('F64', 'f64')],
  [30, plain('BF16', 'bf16')],
]);

/** The types that are known by name only. */
export const otherGgufTypes: ReadonlyMap<number, string> = new Map([
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [39, 'MXFP4'],
  [40, 'NVFP4'],
]);

function plain(name: string, dtype: DType): GgufType {
  return { name, elements: 1, bytes: byteWidth(dtype), as: dtype };
}

function packed(coding: BlockCoding): GgufType {
  const { name, elements, bytes } = coding;
  return { name, elements, bytes, as: coding };
}
