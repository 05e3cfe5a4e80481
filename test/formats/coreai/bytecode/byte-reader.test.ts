import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteReader, MalformedError } from '../../../../src/formats/coreai/bytecode/byte-reader.ts';
import { ByteWriter } from '../../../../src/formats/coreai/bytecode/byte-writer.ts';

test('whole numbers of any size are read as they were written', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (plain, signed) => {
      const reader = new ByteReader(new ByteWriter().varint(plain).signed(signed).written);
      expect([reader.varint(), reader.signed(), reader.left]).toEqual([plain, signed, 0]);
    }),
  );
});

// Of MLIR's bytecode document: the lowest bit of the first byte that is set says how many follow.
test.each([
  [[0x01], 0],
  [[0xff], 127],
  [[0x02, 0x02], 128],
  [[0xfe, 0xff], 16383],
  [[0x04, 0x00, 0x02], 16384],
  [[0x80, 0, 0, 0, 0, 0, 0, 0x10], 2 ** 52],
  [[0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0], Number.MAX_SAFE_INTEGER],
])('%j is %d', (bytes, expected) => {
  expect(new ByteReader(Uint8Array.from(bytes)).varint()).toBe(expected);
});

test.each([
  ['a number that ends too early', [0x02], (reader: ByteReader) => reader.varint()],
  [
    'a number that a float64 does not hold',
    [0, 0, 0, 0, 0, 0, 0, 0x20, 0],
    (reader: ByteReader) => reader.varint(),
  ],
  [
    'a list longer than what it is in',
    [0xff, 1, 1],
    (reader: ByteReader) => reader.list(() => reader.byte()),
  ],
  ['bytes that are not there', [1], (reader: ByteReader) => reader.bytes(2)],
  ['a text without an end', [0x61], (reader: ByteReader) => reader.text()],
])('%s is refused', (_, bytes, read) => {
  expect(() => read(new ByteReader(Uint8Array.from(bytes)))).toThrow(MalformedError);
});
