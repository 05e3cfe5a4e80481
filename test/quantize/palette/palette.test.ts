import { expect, test } from 'vitest';
import { float16Values } from '../../../src/quantize/palette/float16-values.ts';
import { Float16Histogram } from '../../../src/quantize/palette/histogram.ts';
import { optimalPalette, paletteBits, paletteIndices } from '../../../src/quantize/palette/palette.ts';
import { createRng } from '../../../src/random/random.ts';
import { float16Bits } from '../../../src/weights/convert-dtype.ts';

function histogramOf(values: readonly number[]): Float16Histogram {
  const histogram = new Float16Histogram();
  histogram.add(Uint16Array.from(values, float16Bits));
  return histogram;
}

const normal = Array.from(createRng('numpy', 1).normal(20_000), (x) => x * 0.05);

test('a histogram counts each number once, −0 as 0, in ascending order', () => {
  const { values, counts } = histogramOf([1, -0, 0, -2, 1, 1]).distinct();
  expect([...values]).toEqual([-2, 0, 1]);
  expect([...counts]).toEqual([1, 2, 3]);
});

test('infinities and NaNs are counted apart', () => {
  const histogram = histogramOf([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 65504, 7e4]);
  expect(histogram.nonFinite).toBe(4);
  expect([...histogram.distinct().values]).toEqual([65504]);
});

test('a histogram knows whether there are more codes than a number', () => {
  const histogram = histogramOf([1, 1, -2, 0]);
  expect([2, 3].map((most) => histogram.hasMoreThan(most))).toEqual([true, false]);
});

test('a tensor of at most 2ⁿ distinct numbers is palettized exactly, and what is not needed is 0', () => {
  const { entries, used, squaredError, optimum } = optimalPalette(histogramOf([-3, 0.5, 7, 7]).distinct(), 2);
  expect([...entries]).toEqual([-3, 0.5, 7, 0]);
  expect([used, squaredError, optimum]).toEqual([3, 0, 0]);
});

test.each(paletteBits)(
  '%d bits: entries are float16 numbers, and the error is that of the nearest ones',
  (bits) => {
    const palette = optimalPalette(histogramOf(normal).distinct(), bits);
    const numbers = float16Values();
    expect([...palette.entries].every((entry) => numbers[float16Bits(entry)] === entry)).toBe(true);
    const indices = paletteIndices(palette);
    let [error, nearest] = [0, 0];
    for (const value of normal.map((each) => numbers[float16Bits(each)] ?? 0)) {
      error += (value - (palette.entries[indices[float16Bits(value)] ?? 0] ?? 0)) ** 2;
      nearest += Math.min(...palette.entries.subarray(0, palette.used).map((entry) => (value - entry) ** 2));
    }
    expect(palette.squaredError / nearest).toBeCloseTo(1, 12);
    expect(error / nearest).toBeCloseTo(1, 12);
    // Rounding the entries costs little: 1.0012 measured at 8 bits.
    expect(palette.squaredError).toBeGreaterThanOrEqual(palette.optimum * (1 - 1e-12));
    expect(palette.squaredError).toBeLessThan(palette.optimum * 1.002);
  },
);

test('one more bit never makes the error larger', () => {
  const errors = paletteBits.map((bits) => optimalPalette(histogramOf(normal).distinct(), bits).optimum);
  expect(errors).toEqual(errors.toSorted((a, b) => b - a));
});

test('a palette of 8 bits holds whole multiples of its scale, none twice', () => {
  const { entries, used, scale } = optimalPalette(histogramOf(normal).distinct(), 8, 'int8');
  const needed = [...entries.subarray(0, used)];
  expect(new Set(needed).size).toBe(used);
  for (const entry of needed) {
    const whole = Math.round(entry / scale);
    expect(Math.abs(whole)).toBeLessThanOrEqual(127);
    expect(float16Values()[float16Bits(whole * scale)]).toBe(entry);
  }
});

test('a tensor of zeros has a palette of zeros', () => {
  expect([...optimalPalette(histogramOf([0, 0]).distinct(), 1).entries]).toEqual([0, 0]);
  expect([...optimalPalette(histogramOf([0, 0]).distinct(), 1, 'int8').entries]).toEqual([0, 0]);
});

test('an empty tensor has an empty palette', () => {
  expect(optimalPalette(histogramOf([]).distinct(), 4)).toMatchObject({
    used: 0,
    squaredError: 0,
    energy: 0,
  });
});
