import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { compare, psnr } from '../../src/validate/psnr.ts';
import { float16Bits } from '../../src/weights/convert-dtype.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';

function f32(...values: number[]): TensorData {
  return { dtype: 'f32', shape: [values.length], data: Float32Array.from(values) };
}

test('the PSNR is the peak of the reference over the root mean square error, in dB', () => {
  // Errors 0 and 0.1: the mean square is 0.005, so 20·log10(1 / √0.005).
  expect(psnr([0, 1], [0, 0.9])).toBeCloseTo(23.0103, 4);
  expect(psnr([-10, 0, 0, 0], [-10, 0.1, -0.1, 0])).toBeCloseTo(20 * Math.log10(10 / Math.sqrt(0.005)), 10);
});

test('the PSNR does not depend on the scale of both tensors', () => {
  const values = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(values, values, (a, b) => {
      const reference = [1, ...a]; // a peak that is not nearly zero
      const candidate = [1.5, ...b];
      const scaled = psnr(
        reference.map((value) => value * 1024),
        candidate.map((value) => value * 1024),
      );
      expect(scaled).toBeCloseTo(psnr(reference, candidate), 9);
    }),
  );
});

test('identical tensors have an infinite PSNR, all-zero ones too', () => {
  expect(psnr([1, 2], [1, 2])).toBe(Number.POSITIVE_INFINITY);
  expect(psnr([0, 0], [0, 0])).toBe(Number.POSITIVE_INFINITY);
});

test('any difference from an all-zero reference is infinitely far', () => {
  expect(psnr([0, 0], [0, 1e-9])).toBe(Number.NEGATIVE_INFINITY);
});

test('an overflow of the candidate is counted and passes no threshold', () => {
  const {
    psnr: decibels,
    nonFinite,
    maxAbsError,
  } = compare(f32(1, 2, 3), f32(1, Number.POSITIVE_INFINITY, Number.NaN));
  expect(decibels >= Number.NEGATIVE_INFINITY).toBe(false);
  expect(maxAbsError).toBeNaN();
  expect(nonFinite).toEqual({ reference: 0, candidate: 2, added: 2 });
});

test('what is not finite in the reference does not count, and tensors with such are never identical', () => {
  const reference = f32(1, 3, Number.NEGATIVE_INFINITY, Number.NaN);
  const { psnr: decibels, nonFinite } = compare(reference, f32(1, 2, Number.NaN, 5));
  expect(decibels).toBeCloseTo(20 * Math.log10(3 / Math.sqrt(0.5)), 10);
  expect(nonFinite).toEqual({ reference: 2, candidate: 1, added: 0 });
  const { psnr: unknown, applePsnr } = compare(reference, f32(1, 3, Number.NaN, 5));
  expect([unknown, applePsnr]).toEqual([Number.NaN, Number.NaN]);
  expect(psnr([1, Number.NaN], [1, Number.NaN])).toBeNaN();
});

test('a reference without a finite value proves nothing', () => {
  expect(psnr([Number.NaN], [Number.NaN])).toBeNaN();
});

test('Apple’s variant takes the candidate’s peak and stays finite', () => {
  const measured = compare(f32(1, 4), f32(1, 2));
  expect(measured.applePsnr).toBeCloseTo(20 * Math.log10((2 + 1e-5) / (Math.sqrt(2) + 1e-10)), 10);
  // 200 dB and the peak's, as Apple's logs show for identical tensors (there 230.4 dB).
  expect(compare(f32(33), f32(33)).applePsnr).toBeCloseTo(230.37, 2);
});

test('tensors of different dtypes are compared by value', () => {
  const half: TensorData = {
    dtype: 'f16',
    shape: [2],
    data: Uint16Array.of(float16Bits(0.5), float16Bits(-3)),
  };
  const whole: TensorData = { dtype: 'i64', shape: [2], data: BigInt64Array.of(0n, -3n) };
  expect(compare(half, f32(0.5, -3)).psnr).toBe(Number.POSITIVE_INFINITY);
  expect(compare(f32(0.5, -3), whole).maxAbsError).toBe(0.5);
});

test('tensors of different shapes are not compared', () => {
  expect(() => compare(f32(1, 2), f32(1))).toThrow(RequestError);
  expect(() => compare(f32(1, 2), { ...f32(1, 2), shape: [2, 1] } as TensorData)).toThrow(
    /\[2\][\s\S]*\[2, 1\]/,
  );
  expect(() => psnr([1, 2], [1])).toThrow(RequestError);
});
