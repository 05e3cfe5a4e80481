import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pictureName } from '../../src/generate/picture-name.ts';

test('a picture is named as StableDiffusionSample names it', () => {
  const facts = { prompt: 'a red circle', seed: 7 };
  expect(pictureName(facts)).toBe('a_red_circle.7.final.png');
  expect(pictureName({ ...facts, index: 1, strength: 0.57 })).toBe('a_red_circle.1.str57.7.final.png');
  expect(pictureName({ ...facts, step: 20 })).toBe('a_red_circle.7.20.png');
  expect(pictureName({ ...facts, label: 'EulerDiscrete' })).toBe('a_red_circle.EulerDiscrete.7.final.png');
  expect(pictureName({ ...facts, prompt: 'x'.repeat(200) })).toBe(`${'x'.repeat(75)}.7.final.png`);
});

test.each([
  ['a/b: "c"\\d?*|<e>\n', 'a_b___c__d____e__'],
  ['', '_'],
  ['con', '_con'],
  ['COM¹', '_COM¹'],
  ['NUL. and more', '_NUL._and_more'],
  ['console', 'console'],
  ['..', '__'],
])('the prompt %j becomes %s', (prompt, words) => {
  expect(pictureName({ prompt, seed: 1 })).toBe(`${words}.1.final.png`);
});

test('no prompt makes a name that a system refuses', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 120 }), (prompt) => {
      const name = pictureName({ prompt, seed: 2 ** 32, step: 1000 });
      expect(name).not.toMatch(/[<>:"/\\|?*\p{Cc}]|^\.|^(con|prn|aux|nul|com\d|lpt\d)\./iu);
      expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(255);
      expect(name.isWellFormed()).toBe(true);
    }),
  );
});
