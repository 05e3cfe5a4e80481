import { PIXELS } from '../convert/networks/latents.ts';
import { RequestError } from '../errors.ts';
import type { DrawnUnet } from './drawn-unet.ts';

/** Limit on a picture, to draw or to draw from. */
export const MOST_PIXELS = 1 << 26;

/** Height and width, of latents or in pixels. */
export type Size = readonly [height: number, width: number];

/** Sizes in pixels that a request names. */
export interface WantedSize {
  readonly height?: number | undefined;
  readonly width?: number | undefined;
  /** Input pictures: image, mask, conditioning images. */
  readonly pictures: readonly { readonly path: string; readonly size: Size }[];
}

/**
 * Chooses the size of the latents: the requested one, else that of the first input picture if the size is free, else the
 * UNet's. Throws `RequestError` for a size that the UNet does not take, and for input pictures of another size.
 */
export function drawnSize(
  unet: Pick<DrawnUnet, 'size' | 'multiple'>,
  { height, width, pictures }: WantedSize,
): Size {
  const own = unet.size.map((side) => side * PIXELS);
  const [first] = unet.multiple === undefined ? [] : pictures;
  const usual = first?.size ?? own;
  const [tall = 0, wide = 0] = [height ?? usual[0] ?? 0, width ?? usual[1] ?? 0];
  const asked = height !== undefined || width !== undefined;
  const fits = unet.multiple === undefined ? [tall, wide].every((side, i) => side === own[i]) : true;
  if (asked && !fits)
    throw new RequestError({
      problem: `the UNet has a fixed size, which is not ${tall} × ${wide}.`,
      details: { 'it takes': `${own.join(' × ')} pixels (height × width)`, found: `${tall} × ${wide}` },
      advice: `Leave out --height and --width, or convert with --latent-h ${Math.max(1, Math.round(tall / PIXELS))} --latent-w ${Math.max(1, Math.round(wide / PIXELS))}.`,
    });
  if (tall * wide > MOST_PIXELS)
    throw new RequestError({
      problem: `a picture of ${tall} × ${wide} pixels is too large to draw.`,
      details: { expected: `at most ${MOST_PIXELS.toLocaleString('en')} pixels` },
      advice: 'Give a smaller --height and --width.',
    });
  if (unet.multiple !== undefined)
    checkMultiple(unet.multiple * PIXELS, [tall, wide], asked ? undefined : first?.path);
  for (const { path, size } of pictures)
    if (size[0] !== tall || size[1] !== wide)
      throw new RequestError({
        problem: `${path} does not have the size of the picture to generate.`,
        details: { expected: `${wide} × ${tall} pixels`, found: `${size[1]} × ${size[0]} pixels` },
        advice: 'Scale or crop it to that size first.',
      });
  return [tall / PIXELS, wide / PIXELS];
}

function checkMultiple(multiple: number, size: Size, picture: string | undefined): void {
  if (size.every((side) => Number.isInteger(side) && side > 0 && side % multiple === 0)) return;
  const nearest = size.map((side) => Math.max(1, Math.round(side / multiple)) * multiple);
  const found = size.join(' × ');
  throw new RequestError({
    problem: picture
      ? `${picture} has a size that the UNet cannot draw: height and width must be multiples of ${multiple}.`
      : `the UNet cannot draw ${found}: height and width must be multiples of ${multiple}.`,
    details: { found: `${found} pixels (height × width)` },
    advice: picture ? `Scale or crop it to ${nearest.join(' × ')} first.` : `Take ${nearest.join(' × ')}.`,
  });
}
