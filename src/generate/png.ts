import { convertIndexedToRgb, type DecodedPng, decode, encode } from 'fast-png';
import { FileFormatError } from '../errors.ts';
import { bytes as byteArray, checkArguments, text } from '../io/check-call.ts';
import { pictureKind } from '../io/picture-kind.ts';
import { isPng } from '../io/png-signature.ts';
import { image as imageSchema } from './call-schemas.ts';
import type { Image } from './image.ts';

/** PNG files (W3C Recommendation, third edition) of 8-bit pictures, by fast-png, which also runs in a browser. */

/** Offsets of fields of a PNG file's header. */
const [DEPTH, INTERLACE] = [24, 28];
export const COLOUR_TYPE = 25;

/** Colour types: shades of grey, and indices of a palette, which alone may be packed several in a byte. */
const GREY = 0;
export const INDEXED = 3;

const opaque = { path: ['channels'], error: 'expected 3: there is no alpha channel' };

/** Encodes an 8-bit RGB picture; the same picture gives the same bytes. Throws `RequestError` for any other. */
export function encodePng(image: Image & { readonly channels: 3 }): Uint8Array {
  checkArguments('encodePng', {
    image: [image, imageSchema.refine(({ channels }) => channels === 3, opaque)],
  });
  const { width, height, data } = image;
  return encode({ width, height, channels: 3, depth: 8, data }, { zlib: { level: 6 } });
}

/**
 * Decodes any PNG file to 8-bit RGB, or to RGBA if it has an alpha channel; a single transparent colour (`tRNS`) stays
 * opaque. `file` names it in errors. Throws `FileFormatError` when it is damaged or not a PNG.
 */
export function decodePng(bytes: Uint8Array, file: string): Image {
  checkArguments('decodePng', { bytes: [bytes, byteArray], file: [file, text] });
  try {
    refuseUnread(bytes);
    const png = decode(bytes, { checkCrc: true });
    if (png.width === 0 || png.height === 0) throw new RangeError(`${png.width} × ${png.height} pixels`);
    const isIndexed = bytes[COLOUR_TYPE] === INDEXED;
    if (isIndexed && !png.palette) throw new RangeError('a palette is missing');
    if (!isIndexed && png.depth >= 8) return fromChannels(png);
    return fromIndices({ ...png, palette: (isIndexed && png.palette) || greys(png.depth) });
  } catch (error) {
    const kind = pictureKind(bytes);
    throw new FileFormatError(
      {
        problem: `${file} is not a valid PNG file.`,
        details: { found: kind ?? whatIsWrong(error) },
        advice:
          kind === undefined
            ? 'It is damaged or another kind of file: save the picture as a PNG again.'
            : 'Open it in a picture editor, and save it as a PNG.',
      },
      { cause: error },
    );
  }
}

/** Throws for what fast-png reads as something else: colours packed in less than a byte, and interlaced pixels that are. */
function refuseUnread(bytes: Uint8Array): void {
  const [depth = 8, colours = 0] = [bytes[DEPTH], bytes[COLOUR_TYPE]];
  if (!isPng(bytes) || depth >= 8) return;
  if (colours !== GREY && colours !== INDEXED) throw new RangeError(`colours of ${depth} bits`);
  if (bytes[INTERLACE] !== 0)
    throw new RangeError(
      'interlaced pixels of less than 8 bits, which are not read: save it without interlacing',
    );
}

/** In words for people: how a decoder fails at the end of the bytes is its own affair. */
function whatIsWrong(error: unknown): string {
  const found = error instanceof Error ? error.message : String(error);
  return /outside the bounds|decompressing/.test(found) ? 'data that ends early, or is damaged' : found;
}

/** Expands palette indices; below 8 bits, several are packed in a byte. */
function fromIndices(png: DecodedPng & { readonly palette: number[][] }): Image {
  const channels = png.palette[0]?.length === 4 ? 4 : 3;
  return { width: png.width, height: png.height, channels, data: convertIndexedToRgb(png) };
}

/** Greyscale palette, from black to white, for pixels of the given number of bits. */
function greys(bits: number): number[][] {
  const white = 2 ** bits - 1;
  return Array.from({ length: white + 1 }, (_, level) => new Array<number>(3).fill((level * 255) / white));
}

/** Converts grey or RGB pixels of 8 or 16 bits, with or without alpha. */
function fromChannels({ width, height, channels: stored, depth, data }: DecodedPng): Image {
  const hasAlpha = stored === 2 || stored === 4;
  const channels = hasAlpha ? 4 : 3;
  const pixels = new Uint8Array(width * height * channels);
  const scale = depth === 16 ? 1 / 257 : 1;
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      // Grey fills all three channels; alpha comes last.
      const from = channel === 3 ? stored - 1 : stored < 3 ? 0 : channel;
      pixels[pixel * channels + channel] = Math.round((data[pixel * stored + from] ?? 0) * scale);
    }
  }
  return { width, height, channels, data: pixels };
}
