/** The first bytes of every PNG file (W3C Recommendation, third edition, 5.2). */
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Where the first chunk begins. */
export const SIGNATURE_BYTES = SIGNATURE.length;

/** Limit on a picture's file in bytes: pictures to draw from are scaled to about a megapixel. */
export const LARGEST_PICTURE = 1 << 28;

/** Whether a file begins as a PNG does. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, at) => bytes[at] === byte);
}
