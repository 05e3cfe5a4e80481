import { constants, inflateSync } from 'node:zlib';
import { FileFormatError } from '../../errors.ts';
import { MOST_PIXELS } from '../../generate/drawn-size.ts';
import type { Image } from '../../generate/image.ts';
import { COLOUR_TYPE, decodePng, INDEXED } from '../../generate/png.ts';
import { readBytes } from '../../io/disk.ts';
import { isPng, LARGEST_PICTURE, SIGNATURE_BYTES } from '../../io/png-signature.ts';
import { MOST_CHUNKS } from '../../io/png-text.ts';
import { orientationIn, upright } from './upright.ts';

/**
 * Reads the picture in a PNG file, upright. Throws `NotFoundError`, and `FileFormatError` if it is not a PNG, too large, or unpacks to
 * more than its size.
 */
export async function readPicture(path: string): Promise<Image> {
  const { picture, orientation } = essentials(await readBytes(path, LARGEST_PICTURE), path);
  return upright(decodePng(picture, path), orientation);
}

/** Chunks that make the picture; others (texts, profiles, animations) may be compressed, too, and are dropped unread. */
const needed: ReadonlySet<string> = new Set(['IHDR', 'PLTE', 'tRNS', 'IDAT', 'IEND']);

/** Chunks that palettes alone need: of other pictures, one has colours for old screens, the other a colour that stays opaque. */
const ofPalettes: ReadonlySet<string> = new Set(['PLTE', 'tRNS']);

interface Essentials {
  /** The file with the needed chunks alone. */
  readonly picture: Uint8Array;
  /** How it is to be turned, as in EXIF. */
  readonly orientation: number;
}

/** Length, type and checksum of a chunk. */
const FRAME_BYTES = 12;

/** Reduces a PNG file (W3C Recommendation, third edition, 5.3) to the needed chunks; anything else is left to the decoder to refuse. */
function essentials(bytes: Uint8Array, path: string): Essentials {
  if (!isPng(bytes)) return { picture: bytes, orientation: 1 };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept = [bytes.subarray(0, SIGNATURE_BYTES)];
  const isIndexed = bytes[COLOUR_TYPE] === INDEXED;
  const types: string[] = [];
  const data: Uint8Array[] = [];
  let [orientation, chunks] = [1, 0];
  for (let at = SIGNATURE_BYTES; at < bytes.length; ) {
    const end = at + FRAME_BYTES <= bytes.length ? at + FRAME_BYTES + view.getUint32(at) : bytes.length;
    if (++chunks > MOST_CHUNKS)
      throw unusable(path, `it has more than ${MOST_CHUNKS.toLocaleString('en')} chunks`);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (needed.has(type) && (isIndexed || !ofPalettes.has(type))) {
      kept.push(bytes.subarray(at, end));
      types.push(type);
    }
    if (type === 'eXIf') orientation = orientationIn(bytes.subarray(at + 8, end - 4));
    if (type === 'IDAT') data.push(bytes.subarray(at + 8, end - 4));
    at = end;
  }
  // What a second header said of the size would be checked by nobody.
  if (types[0] !== 'IHDR' || types.lastIndexOf('IHDR') > 0)
    throw unusable(path, 'it does not begin with its one header');
  const picture = Buffer.concat(kept);
  if (picture.length >= HEADER_BYTES) checkSize(picture, data, path);
  return { picture, orientation };
}

/** Bytes up to the end of the header's fields. */
const HEADER_BYTES = 29;

/** Offset of the bits of a channel; a pixel has at least one channel. */
const DEPTH = 24;

/** Throws `FileFormatError` for more pixels than allowed, and for data that unpacks to more bytes than the pixels take, or to fewer. */
function checkSize(picture: Buffer, data: readonly Uint8Array[], path: string): void {
  const [width, height] = [picture.readUInt32BE(16), picture.readUInt32BE(20)];
  if (width * height > MOST_PIXELS)
    throw unusable(
      path,
      `it has ${width} × ${height} pixels`,
      `at most ${MOST_PIXELS.toLocaleString('en')} pixels`,
    );
  // At most four channels of 16 bits, and a byte before each row, of which interlacing makes up to twice as many.
  const most = height * (width * 8 + 2) + 64;
  const least = height * Math.floor((width * (picture[DEPTH] ?? 0)) / 8);
  try {
    const unpacked = inflateSync(Buffer.concat(data), {
      maxOutputLength: most,
      finishFlush: constants.Z_SYNC_FLUSH,
    });
    if (unpacked.length < least) throw unusable(path, 'its data has fewer pixels than its header says');
  } catch (error) {
    if (error instanceof FileFormatError) throw error;
    const isTooMuch = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
    if (isTooMuch) throw unusable(path, 'its data unpacks to more than its pixels');
  }
}

function unusable(path: string, why: string, expected?: string): FileFormatError {
  return new FileFormatError({
    problem: `${path} cannot be used as a picture: ${why}.`,
    ...(expected !== undefined && { details: { expected } }),
    advice: 'Save it again as a PNG, smaller if it is large.',
  });
}
