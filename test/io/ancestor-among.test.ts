import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ancestorAmong } from '../../src/io/ancestor-among.ts';

const path = fc
  .array(fc.constantFrom('a', 'b', 'a-', 'a.b', 'ab'), { minLength: 1, maxLength: 4 })
  .map((names) => names.join('/'));

test('finds what plain comparing finds', () => {
  fc.assert(
    fc.property(fc.array(path, { maxLength: 12 }), path, (paths, sought) => {
      const above = paths.filter((each) => sought === each || sought.startsWith(`${each}/`));
      const [highest] = above.toSorted((a, b) => a.length - b.length);
      expect(ancestorAmong(paths)(sought)).toBe(highest);
    }),
  );
});

test('compares a path with few others, however many there are', () => {
  const many = Array.from({ length: 4096 }, (_, index) => `onnx/${index}`);
  const above = ancestorAmong(many);
  let compared = 0;
  const startsWith = String.prototype.startsWith;
  String.prototype.startsWith = function (...given) {
    compared++;
    return startsWith.apply(this, given);
  };
  try {
    for (const each of many) above(`${each}/model.onnx`);
  } finally {
    String.prototype.startsWith = startsWith;
  }
  expect(compared).toBeLessThanOrEqual(many.length);
});
