import { expect, test } from 'vitest';
import { ShapeError } from '../../src/errors.ts';
import {
  controlPixelsOf,
  imageFromTensor,
  maskOf,
  pixelsOf,
  pixelsOutside,
} from '../../src/generate/image-tensor.ts';

test('every byte survives the way to a tensor and back', () => {
  const data = Uint8Array.from({ length: 768 }, (_, i) => (i * 7) % 256);
  const image = { width: 16, height: 16, channels: 3, data } as const;
  expect(imageFromTensor(pixelsOf(image).data, 16, 16)).toEqual(image);
});

test('the channels of a pixel come from three planes', () => {
  const tensor = Float32Array.of(-1, 1, /* green */ 1, -1, /* blue */ -1, 1);
  expect(imageFromTensor(tensor, 2, 1).data).toEqual(Uint8Array.of(0, 255, 0, 255, 0, 255));
});

// ((x / 2 + 0.5).clamp(0, 1) * 255).round() in NumPy: 127.5 → 128, 2.5 → 2, beyond the range → 0 and 255
test('half a step rounds to even, and what lies beyond the range is cut off', () => {
  const twoAndAHalf = Math.fround(5 / 255) - 1;
  const tensor = Float32Array.of(0, twoAndAHalf, -3, 3, Number.NaN, 1);
  expect(imageFromTensor(tensor, 2, 1).data).toEqual(Uint8Array.of(128, 0, 0, 2, 255, 255));
});

test('an alpha channel is dropped', () => {
  const image = { width: 1, height: 1, channels: 4, data: Uint8Array.of(255, 0, 255, 7) } as const;
  expect(pixelsOf(image).data).toEqual(Float32Array.of(1, -1, 1));
});

test('a tensor of another size is refused', () => {
  expect(() => imageFromTensor(new Float32Array(12), 3, 1)).toThrow(ShapeError);
});

test('where a mask is white there is nothing of the picture, half grey is not white', () => {
  const image = { width: 3, height: 1, channels: 3, data: new Uint8Array(9).fill(255) } as const;
  const mask = { ...image, data: Uint8Array.of(255, 255, 255, 127, 127, 127, 128, 128, 128) };
  expect(maskOf(mask)).toEqual(Uint8Array.of(1, 0, 1));
  expect(pixelsOutside(image, mask).data).toEqual(Float32Array.of(0, 1, 0, 0, 1, 0, 0, 1, 0));
});

// PIL.Image.new('RGB', (1, 1), (255, 0, 0)).convert('L') is 76; green is 150, blue 29.
test('the colours of a mask count as bright as they look', () => {
  const data = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255);
  expect(maskOf({ width: 3, height: 1, channels: 3, data })).toEqual(Uint8Array.of(0, 1, 0));
});

test('a ControlNet sees colours from 0 to 1, and −1 where there is no picture', () => {
  const data = Uint8Array.of(255, 0, 51, 255, /* transparent */ 255, 0, 51, 0);
  const { shape, data: pixels } = controlPixelsOf({ width: 2, height: 1, channels: 4, data });
  expect(shape).toEqual([1, 3, 1, 2]);
  expect(pixels).toEqual(Float32Array.of(1, -1, 0, -1, 0.2, -1));
});
