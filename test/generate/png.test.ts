import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FileFormatError, RequestError } from '../../src/errors.ts';
import { decodePng, encodePng } from '../../src/generate/png.ts';
import { thrownBy } from '../support/thrown-by.ts';

/** A PNG written by the book, with whatever header and filtered rows the test wants. */
function png(header: number[], rows: number[], chunks: [string, Uint8Array][] = []): Uint8Array {
  const all: [string, Uint8Array][] = [
    ['IHDR', Uint8Array.from(header)],
    ...chunks,
    ['IDAT', deflateSync(Uint8Array.from(rows))],
    ['IEND', new Uint8Array()],
  ];
  const parts = all.map(([type, content]) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
    const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    size.writeUInt32BE(content.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([size, body, sum]);
  });
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...parts]);
}

/** The 13 header bytes of a picture under 256 × 256. */
function header(width: number, height: number, depth: number, colour: number, interlace = 0): number[] {
  return [0, 0, 0, width, 0, 0, 0, height, depth, colour, 0, 0, interlace];
}

test('any picture survives writing and reading', () => {
  const pictures = fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
    .chain(([width, height]) =>
      fc
        .uint8Array({ minLength: 3 * width * height, maxLength: 3 * width * height })
        .map((data) => ({ width, height, channels: 3, data }) as const),
    );
  fc.assert(
    fc.property(pictures, (picture) => {
      expect(decodePng(encodePng(picture), 'a.png')).toEqual(picture);
    }),
  );
});

// The five filters on 2 × 5 RGB pixels, worked out by hand from section 9 of the specification.
test('all five filters are undone', () => {
  const rows = [
    [0, 10, 20, 30, 40, 50, 60], // none
    [1, 1, 2, 3, 10, 10, 10], // sub: second pixel = first + 10
    [2, 1, 1, 1, 1, 1, 1], // up: row above + 1
    [3, 0, 0, 0, 0, 0, 0], // average of left and above, rounded down
    [4, 5, 5, 5, 0, 0, 0], // paeth
  ].flat();
  const { data } = decodePng(png(header(2, 5, 8, 2), rows), 'a.png');
  expect([...data]).toEqual(
    [
      [10, 20, 30, 40, 50, 60],
      [1, 2, 3, 11, 12, 13],
      [2, 3, 4, 12, 13, 14],
      [1, 1, 2, 6, 7, 8],
      [6, 6, 7, 6, 7, 8],
    ].flat(),
  );
});

test('alpha is read as a fourth channel, and chunks nobody needs are skipped', () => {
  const file = png(header(1, 1, 8, 6), [0, 1, 2, 3, 4], [['tEXt', Buffer.from('Title\0x')]]);
  expect(decodePng(file, 'a.png')).toEqual({
    width: 1,
    height: 1,
    channels: 4,
    data: Uint8Array.of(1, 2, 3, 4),
  });
});

test('a smooth picture is written much smaller than its pixels', () => {
  const data = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => Math.floor(i / 192) + (i % 192));
  expect(encodePng({ width: 64, height: 64, channels: 3, data }).length).toBeLessThan(data.length / 20);
});

test('a picture whose bytes do not match its size is not written', () => {
  const picture = { width: 2, height: 2, channels: 3, data: new Uint8Array(11) } as const;
  expect(() => encodePng(picture)).toThrow(RequestError);
  const withAlpha = { width: 2, height: 2, channels: 4, data: new Uint8Array(16) } as const;
  expect(() => encodePng(withAlpha as never)).toThrow(RequestError);
});

/** Chunks with a palette, and how opaque its first colours are. */
function palette(colours: number[][], alpha: number[]): [string, Uint8Array][] {
  return [
    ['PLTE', Uint8Array.from(colours.flat())],
    ['tRNS', Uint8Array.from(alpha)],
  ];
}

describe('every kind of PNG is read as 8-bit RGB, or RGBA where it has alpha', () => {
  const colours = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  test.each([
    ['16-bit RGB', png(header(1, 1, 16, 2), [0, 0xff, 0xff, 0x80, 0, 0, 0x81]), [255, 128, 1]],
    ['16-bit RGBA', png(header(1, 1, 16, 6), [0, 0, 0, 1, 1, 2, 2, 3, 3]), [0, 1, 2, 3]],
    ['8-bit grey', png(header(2, 1, 8, 0), [0, 7, 9]), [7, 7, 7, 9, 9, 9]],
    ['8-bit grey with alpha', png(header(1, 1, 8, 4), [0, 7, 9]), [7, 7, 7, 9]],
    ['1-bit grey', png(header(3, 1, 1, 0), [0, 0b10100000]), [255, 255, 255, 0, 0, 0, 255, 255, 255]],
    ['2-bit grey', png(header(2, 1, 2, 0), [0, 0b01100000]), [85, 85, 85, 170, 170, 170]],
    ['4-bit palette', png(header(2, 1, 4, 3), [0, 0x10], palette(colours, [])), [4, 5, 6, 255, 1, 2, 3, 255]],
    ['8-bit palette with alpha', png(header(1, 1, 8, 3), [0, 0], palette(colours, [9])), [1, 2, 3, 9]],
    [
      '8-bit RGB with a palette for old screens',
      png(header(1, 1, 8, 2), [0, 1, 2, 3], palette(colours, [])),
      [1, 2, 3],
    ],
    ['8-bit RGB, interlaced', png(header(2, 1, 8, 2, 1), [0, 1, 2, 3, 0, 4, 5, 6]), [1, 2, 3, 4, 5, 6]],
  ])('%s', (_kind, file, pixels) => {
    const { width, height, channels, data } = decodePng(file, 'in.png');
    expect([...data]).toEqual(pixels);
    expect(width * height * channels).toBe(pixels.length);
  });
});

describe('a damaged PNG is refused', () => {
  const good = encodePng({ width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) });
  const flipped = Uint8Array.from(good);
  flipped[20] = 9;
  test.each([
    ['not a PNG', new TextEncoder().encode('<html></html>')],
    ['an empty file', new Uint8Array()],
    ['a cut file', good.subarray(0, good.length - 5)],
    ['a wrong checksum', flipped],
    ['a row too few', png(header(1, 2, 8, 2), [0, 1, 2, 3])],
    ['a palette that is missing', png(header(1, 1, 8, 3), [0, 0])],
    ['a colour that the palette lacks', png(header(1, 1, 8, 3), [0, 2], palette([[1, 2, 3]], []))],
    ['a bit depth that does not exist', png(header(1, 1, 3, 0), [0, 0])],
    ['a filter that does not exist', png(header(1, 1, 8, 2), [5, 1, 2, 3])],
    ['colours of a depth that does not exist', png(header(1, 1, 4, 2), [0, 0, 0])],
    ['no pixels', png(header(0, 1, 8, 2), [0])],
    ['a size that no memory holds', png([255, 255, 255, 255, 255, 255, 255, 255, 8, 2, 0, 0, 0], [0])],
  ])('%s', (_what, bytes) => {
    expect(() => decodePng(bytes, 'in.png')).toThrow(FileFormatError);
  });

  // fast-png takes the 1-bit rows of each pass for rows of bytes: of zeros it makes a picture, and another one.
  test('interlaced pixels of less than a byte, which would be read as others', () => {
    const file = png(header(8, 8, 1, 0, 1), new Array(30).fill(0));
    expect(() => decodePng(file, 'in.png')).toThrow('save it without interlacing');
  });

  test.each([
    ['a JPEG picture', [0xff, 0xd8, 0xff, 0xe0]],
    ['a WebP picture', [...Buffer.from('RIFF\0\0\0\0WEBPVP8 ')]],
    ['a GIF picture', [...Buffer.from('GIF89a')]],
    ['an AVIF picture', [...Buffer.from('\0\0\0\x20ftypavif')]],
    ['a HEIC picture', [...Buffer.from('\0\0\0\x20ftypheic')]],
    ['a TIFF picture', [...Buffer.from('II*\0')]],
    ['a BMP picture', [...Buffer.from('BM1234\0\0\0\0')]],
  ])('%s, which is called one', (kind, bytes) => {
    const error = thrownBy(() => decodePng(Uint8Array.from(bytes), 'in.png'));
    expect(error.details.found).toBe(kind);
    expect(error.advice).toContain('save it as a PNG');
  });
});
