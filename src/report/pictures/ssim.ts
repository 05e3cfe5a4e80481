import { RequestError } from '../../errors.ts';
import type { Image } from '../../generate/image.ts';

/** Standard deviation of the window, and how far it reaches: 11 × 11 pixels. */
const SIGMA = 1.5;
const RADIUS = 5;

/** Stabilise divisions by nearly 0; L = 255 is the range of a byte. */
const C1 = (0.01 * 255) ** 2;
const C2 = (0.03 * 255) ** 2;

/**
 * Structural similarity of two pictures of one size, 1 for equal ones: the mean over all places where the window fits, on
 * luminance (ITU-R BT.601), with a Gaussian window of 11 × 11 and σ = 1.5, K₁ = 0.01, K₂ = 0.03, after Wang, Bovik, Sheikh and
 * Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE Transactions on Image Processing
 * 13(4), 2004, equation 13. Pictures smaller than the window are compared with as much of it as fits. Throws `RequestError` for
 * pictures of different sizes.
 */
export function ssim(a: Image, b: Image): number {
  const { width, height } = a;
  if (width !== b.width || height !== b.height)
    throw new RequestError({
      problem: 'two pictures of different sizes cannot be compared.',
      details: { one: `${width} × ${height}`, other: `${b.width} × ${b.height}` },
    });
  const [x, y] = [luminance(a), luminance(b)];
  const smooth = (values: Float64Array) => convolved(values, width, height);
  const [meanX, meanY] = [smooth(x), smooth(y)];
  const [squareX, squareY] = [
    smooth(x.map((value) => value * value)),
    smooth(y.map((value) => value * value)),
  ];
  const product = smooth(x.map((value, at) => value * (y[at] ?? 0)));
  let sum = 0;
  for (let at = 0; at < meanX.length; at++) {
    const [mx, my] = [meanX[at] ?? 0, meanY[at] ?? 0];
    const [varX, varY] = [(squareX[at] ?? 0) - mx * mx, (squareY[at] ?? 0) - my * my];
    const covariance = (product[at] ?? 0) - mx * my;
    sum += ((2 * mx * my + C1) * (2 * covariance + C2)) / ((mx * mx + my * my + C1) * (varX + varY + C2));
  }
  return sum / meanX.length;
}

/** Luminance of ITU-R BT.601, 0 … 255, not rounded. */
function luminance({ width, height, channels, data }: Image): Float64Array {
  return Float64Array.from({ length: width * height }, (_, pixel) => {
    const at = pixel * channels;
    return 0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0);
  });
}

/** The values under the window wherever it fits, first along the rows, then along the columns. */
function convolved(values: Float64Array, width: number, height: number): Float64Array {
  const [across, down] = [windowFor(width), windowFor(height)];
  const [columns, rows] = [width - across.length + 1, height - down.length + 1];
  const rowwise = new Float64Array(columns * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < columns; x++)
      rowwise[y * columns + x] = across.reduce(
        (sum, weight, i) => sum + weight * (values[y * width + x + i] ?? 0),
        0,
      );
  const result = new Float64Array(columns * rows);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++)
      result[y * columns + x] = down.reduce(
        (sum, weight, i) => sum + weight * (rowwise[(y + i) * columns + x] ?? 0),
        0,
      );
  return result;
}

/** Gaussian weights of sum 1; an odd number of at most `size`. */
function windowFor(size: number): readonly number[] {
  const radius = Math.min(RADIUS, Math.floor((size - 1) / 2));
  const weights = Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * SIGMA ** 2)),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
