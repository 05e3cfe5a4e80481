import { expect, test } from 'vitest';
import type { MilDType } from '../../../../src/formats/coreml/mil/mil-dtype.ts';
import {
  type Elements,
  readElements,
  writeElements,
} from '../../../../src/formats/coreml/mil/mil-elements.ts';

/** Elements and the bytes that stand for them, by hand from the layout: little-endian, the lowest bits first. */
const inBytes: readonly (readonly [MilDType, Elements, readonly number[]])[] = [
  ['fp16', [1, -2, 2 ** -24], [0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00]],
  ['bf16', [1, -2], [0x80, 0x3f, 0x00, 0xc0]],
  ['int8', [-1, 127], [0xff, 0x7f]],
  ['uint8', [255, 1], [0xff, 0x01]],
  ['uint32', [0xfffffffe], [0xfe, 0xff, 0xff, 0xff]],
  ['uint1', [1, 0, 0, 0, 0, 0, 0, 1, 1], [0b10000001, 0b1]],
  ['uint2', [3, 0, 1], [0b010011]],
  ['uint3', [1, 2, 3, 7], [0b11010001, 0b1110]],
  ['uint4', [15, 1, 2], [0x1f, 0x02]],
  ['uint6', [1, 2, 63], [0b10000001, 0b11110000, 0b11]],
  ['int4', [-1, 7, -8], [0x7f, 0x08]],
];

test.each(inBytes)('%s elements are packed as Core ML reads them', (dtype, elements, bytes) => {
  const value = { bytes: { values: Uint8Array.from(bytes) } };
  expect(writeElements(dtype, elements)).toEqual(value);
  expect(readElements(dtype, elements.length, value)).toEqual(elements);
});

test('each dtype has the one field that Core ML reads for it', () => {
  expect(writeElements('int32', [-1])).toEqual({ ints: { values: [-1] } });
  expect(writeElements('uint16', [65535])).toEqual({ ints: { values: [65535] } });
  expect(writeElements('fp32', [0.1])).toEqual({ floats: { values: [Math.fround(0.1)] } });
  expect(writeElements('string', ['a'])).toEqual({ strings: { values: ['a'] } });
  expect(writeElements('bool', [true])).toEqual({ bools: { values: [true] } });
  expect(readElements('int32', 1, { bytes: { values: new Uint8Array(4) } })).toBeUndefined();
});

test('a value with fewer or more elements than declared is no value', () => {
  expect(readElements('int32', 2, { ints: { values: [1] } })).toBeUndefined();
  expect(readElements('fp16', 1, { bytes: { values: new Uint8Array(4) } })).toBeUndefined();
  expect(readElements('fp16', 1e12, { bytes: { values: new Uint8Array(4) } })).toBeUndefined();
});

test('an element that its dtype cannot hold is refused, not wrapped', () => {
  for (const [dtype, element] of [
    ['int8', 128],
    ['uint8', -1],
    ['uint4', 16],
    ['int32', 0.5],
    ['int32', 2 ** 31],
    ['bool', 1],
    ['fp16', 'x'],
  ] as const) {
    expect(writeElements(dtype, [element]), `${dtype} ${element}`).toBeUndefined();
  }
});

test('integers beyond 2^53, which would come out as others, are refused', () => {
  expect(readElements('int64', 1, { longInts: { values: [2 ** 53] } })).toBeUndefined();
});
