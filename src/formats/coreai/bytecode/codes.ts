import type { Choice, Element } from '../program.ts';

/**
 * The numbers by which Core AI's dialect `aicode` tells its attributes, types and element types apart (encoding version 2),
 * found by comparing programs that Apple's coreai-core 1.0.0b3 writes.
 */

/** The first bytes of MLIR's bytecode: `ML\xEFR`. */
export const MAGIC = Uint8Array.of(0x4d, 0x4c, 0xef, 0x52);

export const DIALECT = 'aicode';

/** The version of the encodings. */
export const ENCODING = 2;

/** The size of a free dimension. */
export const FREE = -(2n ** 63n);

export const attributeCodes = {
  string: 1,
  integer: 2,
  float: 3,
  type: 4,
  array: 5,
  tensor: 6,
  resource: 7,
  named: 9,
  symbol: 14,
  parameter: 16,
  file: 30,
  position: 31,
  location: 40,
  dictionary: 45,
  unit: 46,
} as const;

/** Codes of the choices. */
export const choiceCodes: { readonly [C in Choice]: number } = { padding: 17, gelu: 19, interpolation: 43 };

/** Sections of the container, by their numbers in the file. */
export const sectionIds = {
  strings: 0,
  dialects: 1,
  entries: 2,
  entrySizes: 3,
  program: 4,
  resources: 5,
  resourceSizes: 6,
  dialectVersion: 7,
  properties: 8,
} as const;

/** What follows of an operation, by the bits of a byte. */
export const follows = {
  attributes: 0x01,
  results: 0x02,
  operands: 0x04,
  successors: 0x08,
  regions: 0x10,
  uses: 0x20,
  properties: 0x40,
} as const;

export const typeCodes = { tensor: 2, function: 30, symbol: 33 } as const;

/** An element type: its code, and the bits of one element. */
export interface ElementCode {
  readonly code: number;
  readonly bits: number;
}

export const elementCodes: { readonly [E in Element]: ElementCode } = {
  bool: { code: 4, bits: 8 },
  f64: { code: 5, bits: 64 },
  f32: { code: 6, bits: 32 },
  f16: { code: 7, bits: 16 },
  bf16: { code: 8, bits: 16 },
  f8e5m2: { code: 9, bits: 8 },
  f8e4m3: { code: 10, bits: 8 },
  c128: { code: 11, bits: 128 },
  c64: { code: 12, bits: 64 },
  i64: { code: 17, bits: 64 },
  i32: { code: 18, bits: 32 },
  i16: { code: 19, bits: 16 },
  i8: { code: 20, bits: 8 },
  i4: { code: 21, bits: 4 },
  i2: { code: 22, bits: 2 },
  u64: { code: 23, bits: 64 },
  u32: { code: 24, bits: 32 },
  u16: { code: 25, bits: 16 },
  u8: { code: 26, bits: 8 },
  u4: { code: 27, bits: 4 },
  u2: { code: 28, bits: 2 },
  u1: { code: 29, bits: 1 },
  u6: { code: 36, bits: 6 },
  u3: { code: 37, bits: 3 },
  f4e2m1: { code: 46, bits: 4 },
  f8e8m0: { code: 47, bits: 8 },
};
