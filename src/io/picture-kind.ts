/** First bytes of pictures that are no PNGs, in hexadecimal. */
const beginnings: readonly (readonly [beginning: RegExp, kind: string])[] = [
  [/^ffd8ff/, 'a JPEG picture'],
  [/^52494646.{8}57454250/, 'a WebP picture'],
  [/^474946383[79]61/, 'a GIF picture'],
  [/^(49492a00|4d4d002a)/, 'a TIFF picture'],
  [/^.{8}66747970(61766966|61766973)/, 'an AVIF picture'],
  [/^.{8}66747970(68656963|68656978|68657663|68657678|6d696631|6d736631)/, 'a HEIC picture'],
  [/^(ff0a|0000000c4a584c20)/, 'a JPEG XL picture'],
  [/^424d.{8}00000000/, 'a BMP picture'],
];

/** What kind of picture a file is that is no PNG, by its first bytes (16 are enough); `undefined` where it is none. */
export function pictureKind(start: Uint8Array): string | undefined {
  const digits = Array.from(start.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return beginnings.find(([beginning]) => beginning.test(digits))?.[1];
}
