import { expect, test } from 'vitest';
import { findPalette } from '../../../src/quantize/palette/find-palette.ts';
import { Float16Histogram } from '../../../src/quantize/palette/histogram.ts';
import { optimalPalette } from '../../../src/quantize/palette/palette.ts';

/** A histogram of so many distinct float16 numbers. */
function histogram(distinct: number): Float16Histogram {
  const counted = new Float16Histogram();
  counted.add(
    Uint16Array.from({ length: 3 * distinct }, (_, i) =>
      (i * i) % 7 === 0 ? 0x3c00 : 0x2000 + (i % distinct),
    ),
  );
  return counted;
}

test.each([100, 7000])(
  'of %i distinct numbers, the other thread finds what this one finds',
  async (distinct) => {
    const counted = histogram(distinct);
    for (const storage of ['float16', 'int8'] as const)
      expect(await findPalette(counted, { bits: 6, storage, oneOfMany: false })).toEqual(
        optimalPalette(counted.distinct(), 6, storage),
      );
  },
);

test('palettes that are asked for at once come in order', async () => {
  const sizes = [5000, 6000, 200, 7000];
  const found = await Promise.all(
    sizes.map((size) => findPalette(histogram(size), { bits: 4, storage: 'float16', oneOfMany: true })),
  );
  const expected = sizes.map((size) => optimalPalette(histogram(size).distinct(), 4));
  expect(found).toEqual(expected);
});
