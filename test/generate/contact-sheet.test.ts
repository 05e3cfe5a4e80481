import { expect, test } from 'vitest';
import { contactSheet } from '../../src/generate/contact-sheet.ts';
import { GLYPH_HEIGHT, GLYPH_WIDTH, glyphOf } from '../../src/generate/label-glyphs.ts';
import { allSchedulers } from '../../src/generate/schedulers/scheduler-names.ts';

/** A picture of one colour. */
function plain(width: number, height: number, colour: number) {
  return { width, height, channels: 3, data: new Uint8Array(width * height * 3).fill(colour) } as const;
}

test('pictures keep their pixels, each in its cell', () => {
  const cells = [10, 20, 30].map((colour) => ({ image: plain(6, 4, colour) }));
  const { width, height, data } = contactSheet(cells, 2);
  expect([width, height]).toEqual([2 * 6 + 3 * 4, 2 * 4 + 3 * 4]);
  const at = (x: number, y: number) => data[(y * width + x) * 3];
  expect([at(4, 4), at(14, 4), at(4, 12), at(14, 12), at(0, 0)]).toEqual([10, 20, 30, 255, 255]);
});

test('a label stands below its picture, in lines that fit', () => {
  const image = plain(64, 8, 0);
  const [short, long] = [
    contactSheet([{ image, label: '12' }], 1),
    contactSheet([{ image, label: 'Euler Ancestral Discrete' }], 1),
  ];
  expect(long.height - short.height).toBe(2 * (GLYPH_HEIGHT + 2));
  const dots = (sheet: typeof short) => sheet.data.filter((value) => value === 0).length / 3 - 64 * 8;
  expect(dots(short)).toBe([...'12'].flatMap(glyphOf).join('').replaceAll('.', '').length);
  // Twice as large on a picture that is twice as wide as 256 pixels.
  const large = contactSheet([{ image: plain(512, 1, 255), label: '1' }], 1);
  expect(large.data.filter((value) => value === 0).length / 3).toBe(
    4 * glyphOf('1').join('').replaceAll('.', '').length,
  );
});

test('every sign of a scheduler’s name and of a time has a glyph', () => {
  for (const sign of new Set([...allSchedulers().join(''), ...'0123456789.,:-+ s']))
    if (sign !== ' ')
      expect(glyphOf(sign).join(' ')).toMatch(new RegExp(`^([.#]{${GLYPH_WIDTH}} ?){${GLYPH_HEIGHT}}$`));
});
