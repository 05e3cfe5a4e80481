import { crc32, deflateSync, inflateSync } from 'node:zlib';
import { FileFormatError, RequestError, ShapeError } from '../errors.ts';
import type { Image } from './image.ts';

/** PNG (W3C Recommendation, third edition) as far as pictures in and out of a diffusion model need it. */

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const TRUECOLOUR = 2;
const TRUECOLOUR_ALPHA = 6;
const PAETH = 4;

/** A PNG file of an 8-bit RGB picture, the same bytes for the same picture. Throws `ShapeError` when `data` has another size. */
export function encodePng(image: Image & { readonly channels: 3 }): Uint8Array {
  const { width, height, data } = image;
  const stride = width * 3;
  if (data.length !== height * stride) {
    throw new ShapeError({
      problem: 'The picture has not as many bytes as its size says.',
      details: {
        expected: `${width} × ${height} × 3 = ${height * stride} bytes`,
        found: `${data.length} bytes`,
      },
    });
  }
  const rows = new Uint8Array(height * (stride + 1));
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * stride, (y + 1) * stride);
    const above = data.subarray(Math.max(y - 1, 0) * stride, y * stride);
    rows[y * (stride + 1)] = PAETH;
    rows.set(
      row.map((byte, x) => byte - predict(PAETH, row, above, x, 3)),
      y * (stride + 1) + 1,
    );
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);
  header.setUint8(9, TRUECOLOUR);
  const chunks = [
    chunk('IHDR', new Uint8Array(header.buffer)),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND'),
  ];
  return Buffer.concat([SIGNATURE, ...chunks]);
}

function chunk(type: string, content: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = Buffer.alloc(12 + content.length);
  bytes.writeUInt32BE(content.length, 0);
  bytes.write(type, 4, 'latin1');
  bytes.set(content, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), 8 + content.length);
  return bytes;
}

/**
 * The picture in a PNG file of 8-bit RGB or RGBA, not interlaced; `file` names it in errors.
 * Throws `FileFormatError` when it is damaged or no PNG, `RequestError` when it is a PNG of another kind.
 */
export function decodePng(bytes: Uint8Array, file: string): Image {
  const chunks = readChunks(bytes, file);
  const header = chunks.find(({ type }) => type === 'IHDR')?.content;
  if (header?.length !== 13) throw damaged(file, 'a header of 13 bytes', `${header?.length ?? 'no header'}`);
  const view = new DataView(header.buffer, header.byteOffset);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  if (width === 0 || height === 0) throw damaged(file, 'at least one pixel', `${width} × ${height}`);
  const channels = readChannels(header, file);

  const packed = Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ content }) => content));
  const size = height * (width * channels + 1);
  const rows = inflate(packed, size, file);
  return { width, height, channels, data: unfilter(rows, width * channels, channels, file) };
}

interface Chunk {
  readonly type: string;
  readonly content: Uint8Array;
}

function readChunks(bytes: Uint8Array, file: string): Chunk[] {
  if (SIGNATURE.some((byte, i) => bytes[i] !== byte)) {
    throw damaged(file, 'the eight bytes that every PNG begins with', 'others');
  }
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = SIGNATURE.length; chunks.at(-1)?.type !== 'IEND'; ) {
    const end = at + 12 <= buffer.length ? at + 12 + buffer.readUInt32BE(at) : Number.POSITIVE_INFINITY;
    if (end > buffer.length)
      throw damaged(file, 'an end mark', `the end of the file at ${buffer.length} bytes`);
    const type = buffer.toString('latin1', at + 4, at + 8);
    if (crc32(buffer.subarray(at + 4, end - 4)) !== buffer.readUInt32BE(end - 4)) {
      throw damaged(file, `a ${type} chunk that fits its checksum`, 'another checksum');
    }
    chunks.push({ type, content: buffer.subarray(at + 8, end - 4) });
    at = end;
  }
  return chunks;
}

function readChannels(header: Uint8Array, file: string): 3 | 4 {
  const [depth, colour, , , interlace] = header.subarray(8);
  if (depth === 8 && interlace === 0) {
    if (colour === TRUECOLOUR) return 3;
    if (colour === TRUECOLOUR_ALPHA) return 4;
  }
  const kinds: Readonly<Record<number, string>> = {
    0: 'grey',
    2: 'RGB',
    3: 'palette',
    4: 'grey with alpha',
    6: 'RGBA',
  };
  const kind = kinds[colour ?? -1] ?? `colour type ${colour}`;
  throw new RequestError({
    problem: `${file} is a PNG of a kind that sdconvert does not read.`,
    details: {
      expected: '8-bit RGB or RGBA, not interlaced',
      found: `${depth}-bit ${kind}${interlace ? ', interlaced' : ''}`,
    },
    advice: 'Save it again as a plain RGB PNG.',
  });
}

function inflate(packed: Uint8Array, size: number, file: string): Uint8Array {
  let rows: Uint8Array;
  try {
    rows = inflateSync(packed, { maxOutputLength: Math.max(size, 1) });
  } catch (error) {
    throw damaged(file, `${size} bytes of pixels`, error instanceof Error ? error.message : String(error));
  }
  if (rows.length !== size) throw damaged(file, `${size} bytes of pixels`, `${rows.length} bytes`);
  return rows;
}

function unfilter(rows: Uint8Array, stride: number, channels: number, file: string): Uint8Array {
  const data = new Uint8Array(rows.length - rows.length / (stride + 1));
  let above = new Uint8Array();
  for (let from = 0, to = 0; from < rows.length; from += stride + 1, to += stride) {
    const filter = rows[from] ?? 0;
    if (filter > PAETH) throw damaged(file, 'one of the filters 0 to 4', `filter ${filter}`);
    const row = data.subarray(to, to + stride);
    for (let x = 0; x < stride; x++) {
      row[x] = (rows[from + 1 + x] ?? 0) + predict(filter, row, above, x, channels);
    }
    above = row;
  }
  return data;
}

/** What the filters of the specification (section 9) expect byte `x` of a row to be, from the left and from above. */
function predict(filter: number, row: Uint8Array, above: Uint8Array, x: number, channels: number): number {
  const a = row[x - channels] ?? 0;
  const b = above[x] ?? 0;
  const c = above[x - channels] ?? 0;
  switch (filter) {
    case 1:
      return a;
    case 2:
      return b;
    case 3:
      return (a + b) >> 1;
    case PAETH: {
      const [toA, toB, toC] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      if (toA <= toB && toA <= toC) return a;
      return toB <= toC ? b : c;
    }
    default:
      return 0;
  }
}

function damaged(file: string, expected: string, found: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not an intact PNG picture.`,
    details: { expected, found },
    advice: 'It is damaged or not the file it should be.',
  });
}
