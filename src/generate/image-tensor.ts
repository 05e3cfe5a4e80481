import { ShapeError } from '../errors.ts';
import type { Image } from './image.ts';
import { roundHalfEven } from './schedulers/schedule/round-half-even.ts';

/**
 * Converts a decoder's output, float32 [3,H,W] or [1,3,H,W] from −1 to 1, to a picture; values beyond are clipped.
 * Rounds in float32, ties to even, as diffusers' image processor does. Throws `ShapeError` on another size.
 */
export function imageFromTensor(
  tensor: Float32Array,
  width: number,
  height: number,
): Image & { readonly channels: 3 } {
  const plane = width * height;
  if (tensor.length !== 3 * plane) {
    throw new ShapeError({
      problem: 'The tensor does not hold one picture of this size.',
      details: {
        expected: `3 × ${height} × ${width} = ${3 * plane} numbers`,
        found: `${tensor.length} numbers`,
      },
    });
  }
  const data = Uint8Array.from({ length: 3 * plane }, (_, i) => {
    const value = tensor[(i % 3) * plane + Math.floor(i / 3)] ?? 0;
    const unit = Math.min(Math.max(Math.fround(value / 2 + 0.5), 0), 1);
    return roundHalfEven(Math.fround(unit * 255));
  });
  return { width, height, channels: 3, data };
}

/** Converts a picture to the VAE encoder's input: float32 [1,3,H,W] from −1 to 1. An alpha channel is dropped. */
export function tensorFromImage({ width, height, channels, data }: Image): Float32Array {
  const plane = width * height;
  return Float32Array.from({ length: 3 * plane }, (_, i) => {
    const byte = data[(i % plane) * channels + Math.floor(i / plane)] ?? 0;
    return 2 * Math.fround(byte / 255) - 1;
  });
}
