import { truncateSync, writeFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readPicture } from '../../../src/commands/drawing/read-picture.ts';
import { FileFormatError } from '../../../src/errors.ts';
import { encodePng } from '../../../src/generate/png.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const at = temporaryFolder();
const picture = () =>
  encodePng({ width: 4, height: 3, channels: 3, data: new Uint8Array(36).map((_, i) => i * 7) });

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  return Buffer.concat([number(data.length), typed, number(crc32(typed))]);
}

/** A PNG file of 8-bit RGB whose data unpacks to so many zeros. */
function png(width: number, height: number, unpacked: number): Buffer {
  const header = Buffer.concat([number(width), number(height), Buffer.of(8, 2, 0, 0, 0)]);
  const data = deflateSync(Buffer.alloc(unpacked), { level: 9 });
  const chunks = [chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.of())];
  return Buffer.concat([Buffer.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10), ...chunks]);
}

/** A PNG file that has one of 16 × 16 pixels in it, and the header of a much larger one. */
function twoHeaders(isBefore: boolean): Buffer {
  const [small, large] = [png(16, 16, 784), png(40_000, 40_000, 100)];
  const header = large.subarray(8, 33);
  return Buffer.concat(
    isBefore
      ? [small.subarray(0, 8), chunk('acTL', Buffer.alloc(8)), header, small.subarray(33)]
      : [small.subarray(0, 33), header, small.subarray(33)],
  );
}

test('a picture is read, and what is compressed beside it is not unpacked', async () => {
  const bytes = picture();
  const end = bytes.length - 12;
  const text = chunk('zTXt', Buffer.concat([Buffer.from('a\0\0', 'latin1'), Buffer.from('no zlib')]));
  writeFileSync(at('a.png'), Buffer.concat([bytes.subarray(0, end), text, bytes.subarray(end)]));
  expect(await readPicture(at('a.png'))).toMatchObject({
    width: 4,
    height: 3,
    data: new Uint8Array(36).map((_, i) => i * 7),
  });
});

/** A picture of 3 × 2 pixels, which are 0 to 5, with the chunk that says how to turn it. */
function turned(orientation: number, isLittle: boolean): Buffer {
  const exif = Buffer.alloc(26);
  exif.write(isLittle ? 'II' : 'MM');
  const write = (value: number, at: number) =>
    isLittle ? exif.writeUInt16LE(value, at) : exif.writeUInt16BE(value, at);
  for (const [at, value] of [
    [2, 42],
    [8, 1],
    [10, 0x0112],
    [12, 3],
    [18, orientation],
  ] as const)
    write(value, at);
  if (isLittle) exif.writeUInt32LE(8, 4);
  else exif.writeUInt32BE(8, 4);
  const data = Uint8Array.from({ length: 18 }, (_, at) => Math.floor(at / 3));
  const bytes = encodePng({ width: 3, height: 2, channels: 3, data });
  return Buffer.concat([bytes.subarray(0, 33), chunk('eXIf', exif), bytes.subarray(33)]);
}

// Pillow's exif_transpose, which diffusers opens pictures with.
test.each([
  [0, 3, [0, 1, 2, 3, 4, 5]],
  [1, 3, [0, 1, 2, 3, 4, 5]],
  [2, 3, [2, 1, 0, 5, 4, 3]],
  [3, 3, [5, 4, 3, 2, 1, 0]],
  [4, 3, [3, 4, 5, 0, 1, 2]],
  [5, 2, [0, 3, 1, 4, 2, 5]],
  [6, 2, [3, 0, 4, 1, 5, 2]],
  [7, 2, [5, 2, 4, 1, 3, 0]],
  [8, 2, [2, 5, 1, 4, 0, 3]],
  [9, 3, [0, 1, 2, 3, 4, 5]],
])('a picture that is to be turned (%d) is', async (orientation, width, pixels) => {
  for (const isLittle of [true, false]) {
    writeFileSync(at('turned.png'), turned(orientation, isLittle));
    const image = await readPicture(at('turned.png'));
    expect([image.width, image.height]).toEqual([width, 6 / width]);
    expect(pixels.flatMap((pixel) => [pixel, pixel, pixel])).toEqual([...image.data]);
  }
});

test.each([0, 1, 7, 9, 12, 21])('what says so in %d bytes is passed over', async (length) => {
  const whole = turned(6, true);
  const cut = chunk('eXIf', whole.subarray(41, 41 + length));
  writeFileSync(at('cut.png'), Buffer.concat([whole.subarray(0, 33), cut, whole.subarray(33 + 38)]));
  expect(await readPicture(at('cut.png'))).toMatchObject({ width: 3, height: 2 });
});

test('a colour that is transparent, and colours for old screens, are no part of it', async () => {
  const bytes = encodePng({ width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) });
  const beside = [chunk('PLTE', Buffer.alloc(6)), chunk('tRNS', Buffer.alloc(6))];
  writeFileSync(at('tRNS.png'), Buffer.concat([bytes.subarray(0, 33), ...beside, bytes.subarray(33)]));
  expect((await readPicture(at('tRNS.png'))).data).toEqual(Uint8Array.of(1, 2, 3));
});

/** A picture with very many empty chunks. */
function ofChunks(type: string): Buffer {
  const bytes = picture();
  const empty = new Array<Buffer>(100_001).fill(chunk(type, Buffer.of()));
  return Buffer.concat([bytes.subarray(0, 33), ...empty, bytes.subarray(33)]);
}

test.each([
  ['very many chunks of its data', ofChunks('IDAT'), 'it has more than 100,000 chunks'],
  ['very many other chunks', ofChunks('tEXt'), 'it has more than 100,000 chunks'],
  ['data that unpacks to more than its pixels', png(16, 16, 5e6), 'unpacks to more than its pixels'],
  ['more pixels than a picture has', png(40_000, 40_000, 100), '40000 × 40000 pixels'],
  ['far fewer pixels than its header says', png(2 ** 25, 1, 784), 'its data has fewer pixels'],
  ['a header behind another chunk', twoHeaders(true), '40000 × 40000 pixels'],
  ['a second header', twoHeaders(false), 'it does not begin with its one header'],
  ['a cut file', Buffer.from(picture().subarray(0, 40)), 'fewer pixels than its header says'],
  ['no picture', Buffer.from('hello'), 'is not a valid PNG file'],
  ['nothing', Buffer.of(), 'is not a valid PNG file'],
])('%s is refused in a sentence', async (_, bytes, problem) => {
  writeFileSync(at('b.png'), bytes);
  await expect(readPicture(at('b.png'))).rejects.toThrow(FileFormatError);
  await expect(readPicture(at('b.png'))).rejects.toThrow(problem);
});

test('a file that no memory holds is refused unread', async () => {
  writeFileSync(at('c.png'), '');
  truncateSync(at('c.png'), 2 ** 40);
  await expect(readPicture(at('c.png'))).rejects.toThrow('too large');
});
