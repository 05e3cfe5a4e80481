import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePng, encodePng } from '../../src/generate/png.ts';
import { textsIn, withTexts } from '../../src/io/png-text.ts';

const picture = { width: 2, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) } as const;

test('texts of any signs are read back, and the picture stays what it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), (some, other) => {
      const texts = { parameters: some, Software: other };
      const png = withTexts(encodePng(picture), texts);
      // UTF-8 has no halves of surrogate pairs.
      expect(textsIn(png)).toEqual({ parameters: some.toWellFormed(), Software: other.toWellFormed() });
      // Checks every chunk's checksum.
      expect(decodePng(png, 'a.png')).toEqual(picture);
    }),
  );
});

test('a file that ends within a chunk gives the texts before it', () => {
  const png = withTexts(encodePng(picture), { one: 'é', two: '→' });
  expect(textsIn(png.subarray(0, png.length - 20))).toEqual({ one: 'é', two: '→' });
  expect(textsIn(png.subarray(0, 60))).toEqual({ one: 'é' });
  expect(textsIn(png.subarray(0, 5))).toEqual({});
});

test.each([
  ['a keyword that is longer than any', 'k'.repeat(500_000), 'x', {}],
  ['no keyword', '', 'x', {}],
  ['a keyword of JavaScript’s own', '__proto__', 'x', Object.fromEntries([['__proto__', 'x']])],
  ['a text of megabytes', 'parameters', 'y'.repeat(3e6), { parameters: 'y'.repeat(3e6) }],
])('%s is read as what it is', (_, keyword, text, found) => {
  const content = Buffer.from(`${keyword}\0${text}`, 'latin1');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const header = encodePng(picture).subarray(0, 33);
  // No checksum is looked at.
  expect(
    textsIn(Buffer.concat([header, length, Buffer.from('tEXt'), content, Buffer.alloc(4)])),
  ).toStrictEqual(found);
});
