import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlockIndex } from '../../src/quantize/block-index.ts';

/** The block of each element by the definition. */
function blocks(shape: readonly number[], blockShape: readonly number[]): number[] {
  const counts = shape.map((size, axis) => Math.ceil(size / (blockShape[axis] ?? 1)));
  const total = shape.reduce((product, size) => product * size, 1);
  return Array.from({ length: total }, (_, element) => {
    let [rest, block, weight] = [element, 0, 1];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = shape[axis] ?? 1;
      block += Math.floor((rest % size) / (blockShape[axis] ?? 1)) * weight;
      weight *= counts[axis] ?? 1;
      rest = Math.floor(rest / size);
    }
    return block;
  });
}

test('every element of any tensor is in the block that its place says, wherever one begins to count', () => {
  const axis = fc
    .integer({ min: 1, max: 5 })
    .chain((size) => fc.tuple(fc.constant(size), fc.integer({ min: 1, max: size })));
  fc.assert(
    fc.property(fc.array(axis, { minLength: 1, maxLength: 4 }), fc.nat(100), (axes, from) => {
      const [shape, blockShape] = [axes.map(([size]) => size), axes.map(([, block]) => block)];
      const index = new BlockIndex(shape, blockShape);
      const expected = blocks(shape, blockShape);
      const position = from % expected.length;
      const found: number[] = [];
      index.eachRun(position, expected.length - position, (start, end, block, step) => {
        expect(start).toBe(found.length);
        for (let i = start; i < end; i++) found.push(block + step * (i - start));
      });
      expect(found).toEqual(expected.slice(position));
      expect(index.total).toBe(Math.max(...expected) + 1);
    }),
  );
});
