import { expect, test } from 'vitest';
import { ByteWriter } from '../../../../src/formats/coreai/bytecode/byte-writer.ts';

const hex = (write: ByteWriter): string => Buffer.from(write.written).toString('hex');

// MLIR's bytecode format, "Variable Width Integers".
test.each([
  [0, '01'],
  [1, '03'],
  [127, 'ff'],
  [128, '0202'],
  [2 ** 14 - 1, 'feff'],
  [2 ** 14, '040002'],
  [2 ** 32, '1000000020'],
  [2n ** 56n - 1n, '80ffffffffffffff'],
  [2n ** 56n, '000000000000000001'],
  [2n ** 64n - 1n, '00ffffffffffffffff'],
])('%d is written as %s', (value, bytes) => {
  expect(hex(new ByteWriter().varint(value))).toBe(bytes);
});

test.each([
  [0, '01'],
  [-1, '03'],
  [1, '05'],
  [-64, 'ff'],
  [64, '0202'],
  [-(2n ** 63n), '00ffffffffffffffff'],
])('%d is written with its sign as %s', (value, bytes) => {
  expect(hex(new ByteWriter().signed(value))).toBe(bytes);
});

test('what is written grows without an end', () => {
  const write = new ByteWriter();
  for (let i = 0; i < 1000; i++) write.bytes(Uint8Array.of(i));
  expect([...write.written]).toEqual(Array.from({ length: 1000 }, (_, i) => i % 256));
});
