import type { Image } from './image.ts';

/** Pillow computes 8-bit pictures in whole numbers: coefficients are multiples of 2⁻²² (Resample.c, PRECISION_BITS). */
const ONE = 2 ** 22;

/** Radius of the cubic's support, and its free parameter (Keys 1981). */
const RADIUS = 2;
const A = -0.5;

/**
 * Resizes an RGB picture as Pillow's `Image.resize(…, BICUBIC)` does, to the byte: a cubic filter that widens where the picture
 * shrinks, first along the rows, then along the columns, rounded in between. An alpha channel is dropped.
 */
export function resizeBicubic(image: Image, width: number, height: number): Image & { readonly channels: 3 } {
  const { data, channels } = image;
  const rows = new Uint8Array(width * image.height * 3);
  const across = weightsFor(image.width, width);
  for (let y = 0; y < image.height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < 3; channel++)
        rows[(y * width + x) * 3 + channel] = weigh(
          across[x],
          (i) => data[(y * image.width + i) * channels + channel],
        );
  const resized = new Uint8Array(width * height * 3);
  const down = weightsFor(image.height, height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < 3; channel++)
        resized[(y * width + x) * 3 + channel] = weigh(down[y], (i) => rows[(i * width + x) * 3 + channel]);
  return { width, height, channels: 3, data: resized };
}

/** The pixels that make one, from `first` on, and how much of each. */
interface Weights {
  readonly first: number;
  /** Multiples of 2⁻²². */
  readonly parts: readonly number[];
}

function weightsFor(from: number, to: number): Weights[] {
  const step = from / to;
  const scale = Math.max(step, 1);
  const support = RADIUS * scale;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * step;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), from);
    const values = Array.from({ length: end - first }, (__, k) => cubic((first + k - centre + 0.5) / scale));
    const sum = values.reduce((total, value) => total + value, 0);
    return { first, parts: values.map((value) => roundAway((value / sum) * ONE)) };
  });
}

function cubic(at: number): number {
  const x = Math.abs(at);
  if (x < 1) return ((A + 2) * x - (A + 3)) * x * x + 1;
  return x < RADIUS ? (((x - 5) * x + 8) * x - 4) * A : 0;
}

/** Halves away from zero. */
function roundAway(value: number): number {
  return Math.trunc(value + (value < 0 ? -0.5 : 0.5));
}

function weigh(weights: Weights | undefined, pixel: (index: number) => number | undefined): number {
  let sum = ONE / 2;
  for (const [k, part] of weights?.parts.entries() ?? [])
    sum += part * (pixel((weights?.first ?? 0) + k) ?? 0);
  return Math.min(Math.max(Math.floor(sum / ONE), 0), 255);
}
