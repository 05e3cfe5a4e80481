import type { Image } from '../../generate/image.ts';

/** The tag of an EXIF entry that says how a picture is to be turned (CIPA DC-008, 4.6.4). */
const ORIENTATION = 0x0112;

/** Bytes of an entry: tag, type, count and value. */
const ENTRY_BYTES = 12;

/**
 * How a picture is to be turned and mirrored, in the contents of its `eXIf` chunk: 1 to 8, of which 1 is as it is, which it also is where
 * they say nothing that is understood.
 */
export function orientationIn(exif: Uint8Array): number {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  if (exif.length < 8) return 1;
  const isLittle = view.getUint16(0) === 0x4949;
  const directory = view.getUint32(4, isLittle);
  if (directory + 2 > exif.length) return 1;
  const entries = view.getUint16(directory, isLittle);
  for (let entry = 0; entry < entries; entry++) {
    const at = directory + 2 + ENTRY_BYTES * entry;
    if (at + ENTRY_BYTES > exif.length) return 1;
    if (view.getUint16(at, isLittle) !== ORIENTATION) continue;
    const value = view.getUint16(at + 8, isLittle);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** A picture as people see it, as Pillow's `exif_transpose` has it, with which diffusers opens pictures. */
export function upright(image: Image, orientation: number): Image {
  if (orientation === 1) return image;
  const { width, height, channels, data } = image;
  const [isOnItsSide, fromRight, fromBelow] = [
    orientation >= 5,
    [2, 3, 7, 8].includes(orientation),
    [3, 4, 6, 7].includes(orientation),
  ];
  const [wide, tall] = isOnItsSide ? [height, width] : [width, height];
  const turned = new Uint8Array(data.length);
  for (let y = 0; y < tall; y++)
    for (let x = 0; x < wide; x++) {
      const [across, down] = isOnItsSide ? [y, x] : [x, y];
      const column = fromRight ? width - 1 - across : across;
      const row = fromBelow ? height - 1 - down : down;
      for (let channel = 0; channel < channels; channel++)
        turned[(y * wide + x) * channels + channel] = data[(row * width + column) * channels + channel] ?? 0;
    }
  return { width: wide, height: tall, channels, data: turned };
}
