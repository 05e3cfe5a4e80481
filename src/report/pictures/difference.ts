import type { Image } from '../../generate/image.ts';

const WHITE = 255;

/** The largest difference of a pixel's three colours, 0 … 255. */
function differenceAt(a: Image, b: Image, pixel: number): number {
  let largest = 0;
  for (let channel = 0; channel < 3; channel++) {
    const [left, right] = [a.data[pixel * a.channels + channel], b.data[pixel * b.channels + channel]];
    largest = Math.max(largest, Math.abs((left ?? 0) - (right ?? 0)));
  }
  return largest;
}

/** How much maps of pictures against one may enlarge differences, all by the same power of two, so that none is cut off. */
export function differenceGain(exact: Image, others: readonly Image[]): number {
  let largest = 1;
  for (const other of others)
    for (let pixel = 0; pixel < exact.width * exact.height; pixel++)
      largest = Math.max(largest, differenceAt(exact, other, pixel));
  return 2 ** Math.floor(Math.log2(WHITE / largest));
}

/**
 * A map of where two pictures of one size differ: the largest difference of a pixel's three colours times `gain`, from black over
 * red and yellow to white, so that its order shows in grey, too.
 */
export function differenceMap(a: Image, b: Image, gain: number): Image & { readonly channels: 3 } {
  const { width, height } = a;
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const level = 3 * Math.min(1, (differenceAt(a, b, pixel) * gain) / WHITE);
    for (let channel = 0; channel < 3; channel++)
      data[pixel * 3 + channel] = Math.round(WHITE * Math.min(1, Math.max(0, level - channel)));
  }
  return { width, height, channels: 3, data };
}
