import { expect, test } from 'vitest';
import { errorIn, type StoredForm } from '../../src/quantize/stored-form.ts';
import type { Weight } from '../../src/weights/weight.ts';

/** A weight [8,8] of the numbers 0 to 63. */
const weight: Weight = {
  name: 'w',
  dtype: 'f32',
  shape: [8, 8],
  file: 'w.safetensors',
  async *stream(dtype) {
    const numbers = Float32Array.from({ length: 64 }, (_, at) => at);
    yield new Uint8Array(dtype === 'f16' ? new Uint16Array(64).buffer : numbers.buffer);
  },
};

const palette = (groups: number): StoredForm => ({ kind: 'palette', bits: 4, groups, int8Palette: false });
const linear = (shape: readonly number[], ...blockShape: readonly number[]): StoredForm => ({
  kind: 'linear',
  bits: 8,
  symmetric: true,
  dtype: 'f32',
  shape,
  blockShape,
});

test('a form that fits a weight tells what it loses', async () => {
  expect(await errorIn(weight, palette(4))).toBeDefined();
  expect(await errorIn(weight, linear([8, 8, 1, 1], 1, 8, 1, 1))).toBeDefined();
});

test.each<[string, StoredForm]>([
  ['palettes that do not divide it', palette(7)],
  ['no palettes', palette(0)],
  ['the shape of another', linear([8, 9], 1, 9)],
  ['blocks of negative size', linear([8, 8], 1, -5)],
  ['blocks of no size', linear([8, 8], 0, 8)],
  ['blocks of a fraction', linear([8, 8], 1, 8 / 3)],
])('a form with %s is of another weight', async (_, form) => {
  expect(await errorIn(weight, form)).toBeUndefined();
});
