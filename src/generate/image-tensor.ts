import { ShapeError } from '../errors.ts';
import { checkArguments, number, numbers } from '../io/check-call.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { image as imageSchema } from './call-schemas.ts';
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
  checkArguments('imageFromTensor', {
    tensor: [tensor, numbers],
    width: [width, number],
    height: [height, number],
  });
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
export function pixelsOf(image: Image): TensorData<'f32'> {
  checkArguments('pixelsOf', { image: [image, imageSchema] });
  return planesOf(image, (byte) => 2 * Math.fround(byte / 255) - 1);
}

/** The same with 0 wherever a mask of the same size is white. */
export function pixelsOutside(image: Image, mask: Image): TensorData<'f32'> {
  const covered = maskOf(mask);
  return planesOf(image, (byte, pixel) => (covered[pixel] === 1 ? 0 : 2 * Math.fround(byte / 255) - 1));
}

/** Converts a picture to a ControlNet's input: [1,3,H,W] from 0 to 1, and −1 where it is transparent, to be inpainted. */
export function controlPixelsOf(image: Image): TensorData<'f32'> {
  checkArguments('controlPixelsOf', { image: [image, imageSchema] });
  const { channels, data } = image;
  return planesOf(image, (byte, pixel) =>
    channels === 4 && data[pixel * channels + 3] === 0 ? -1 : Math.fround(byte / 255),
  );
}

/** Binarizes a mask at one half of its luminance: 1 for white, 0 for black, row by row. An alpha channel is dropped. */
export function maskOf({ width, height, channels, data }: Image): Uint8Array {
  return Uint8Array.from({ length: width * height }, (_, pixel) => {
    const [red = 0, green = 0, blue = 0] = data.subarray(pixel * channels, pixel * channels + 3);
    return luminance(red, green, blue) / 255 < 0.5 ? 0 : 1;
  });
}

/** Luminance of ITU-R BT.601 as a byte, in Pillow's fixed-point arithmetic. */
function luminance(red: number, green: number, blue: number): number {
  return (red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16;
}

/** Converts a picture to planes of colours [1,3,H,W], each byte (of the pixel with this index) by `meaning`. */
function planesOf(
  { width, height, channels, data }: Image,
  meaning: (byte: number, pixel: number) => number,
): TensorData<'f32'> {
  const plane = width * height;
  const values = Float32Array.from({ length: 3 * plane }, (_, i) => {
    const pixel = i % plane;
    return meaning(data[pixel * channels + Math.floor(i / plane)] ?? 0, pixel);
  });
  return { dtype: 'f32', shape: [1, 3, height, width], data: values };
}
