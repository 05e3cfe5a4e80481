import { expect, test } from 'vitest';
import type { Image } from '../../src/generate/image.ts';
import { differenceGain, differenceMap } from '../../src/report/pictures/difference.ts';
import { embedded } from '../../src/report/pictures/embedded.ts';
import { ssim } from '../../src/report/pictures/ssim.ts';

/** A picture of numbers that anybody can compute again. */
function picture(width: number, height: number, seed: number): Image {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * seed + ((i * i) % 251)) % 256);
  return { width, height, channels: 3, data };
}

/** Equation 13 of Wang et al. 2004 with the window's 121 weights at every place, in plain loops. */
function plainSsim(a: Image, b: Image): number {
  const grey = ({ data }: Image, x: number, y: number) => {
    const at = (y * a.width + x) * 3;
    return 0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0);
  };
  let [total, places] = [0, 0];
  for (let y = 0; y + 11 <= a.height; y++)
    for (let x = 0; x + 11 <= a.width; x++) {
      const sums = { weight: 0, a: 0, b: 0, aa: 0, bb: 0, ab: 0 };
      for (let v = 0; v < 11; v++)
        for (let u = 0; u < 11; u++) {
          const weight = Math.exp(-((u - 5) ** 2 + (v - 5) ** 2) / (2 * 1.5 ** 2));
          const [p, q] = [grey(a, x + u, y + v), grey(b, x + u, y + v)];
          sums.weight += weight;
          sums.a += weight * p;
          sums.b += weight * q;
          sums.aa += weight * p * p;
          sums.bb += weight * q * q;
          sums.ab += weight * p * q;
        }
      const [ma, mb] = [sums.a / sums.weight, sums.b / sums.weight];
      const [va, vb] = [sums.aa / sums.weight - ma * ma, sums.bb / sums.weight - mb * mb];
      const covariance = sums.ab / sums.weight - ma * mb;
      const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
      total += ((2 * ma * mb + c1) * (2 * covariance + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
      places += 1;
    }
  return total / places;
}

test('SSIM is that of Wang et al. 2004, computed in plain loops', () => {
  const [a, b] = [picture(24, 17, 7), picture(24, 17, 9)];
  // Only the order of additions differs.
  expect(ssim(a, b)).toBeCloseTo(plainSsim(a, b), 10);
  expect(ssim(a, a)).toBe(1);
  expect(ssim(a, b)).toBe(ssim(b, a));
});

test('pictures smaller than the window are compared, and those of other sizes refused', () => {
  expect(ssim(picture(4, 4, 3), picture(4, 4, 3))).toBe(1);
  expect(() => ssim(picture(4, 4, 3), picture(5, 4, 3))).toThrow('different sizes');
});

test('a difference map is black where pictures agree, and brighter the more they differ', () => {
  const a: Image = { width: 3, height: 1, channels: 3, data: new Uint8Array(9).fill(100) };
  const b: Image = { ...a, data: Uint8Array.from([100, 100, 100, 100, 104, 100, 40, 100, 100]) };
  const [same, , , little, , , much, much2, much3] = differenceMap(a, b, differenceGain(a, [b])).data;
  // 60 of 255, times 4: the largest power of two that cuts nothing off.
  expect([same, much, much2, much3]).toEqual([0, 255, 255, 210]);
  expect(little).toBeGreaterThan(0);
  expect(little).toBeLessThan(255);
});

test('pictures that are too large for a page are made smaller together', () => {
  const noise = {
    ...picture(700, 700, 7),
    data: Uint8Array.from({ length: 700 * 700 * 3 }, (_, i) => (i * 2654435761) >>> 24),
  };
  const all = embedded(
    new Map([
      ['a', noise],
      ['b', noise],
      ['c', picture(64, 64, 3)],
    ]),
  );
  const bytes = [...all.values()].reduce((sum, { png }) => sum + png.length, 0);
  expect(bytes).toBeLessThan(1.3e6);
  expect(new Set([...all.values()].map(({ scale }) => scale)).size).toBe(1);
  expect(embedded(new Map([['c', picture(64, 64, 3)]])).get('c')).toMatchObject({
    width: 64,
    height: 64,
    scale: 1,
  });
});
