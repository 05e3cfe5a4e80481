import { expect, test } from 'vitest';
import type { FloatTensor } from '../../../src/quantize/float-tensor.ts';
import { palettize } from '../../../src/quantize/palette/palettized-weight.ts';

/** A tensor [64] that counts how often it is read. */
function countedTensor(numbers: (at: number) => number) {
  const bytes = new Uint8Array(Float32Array.from({ length: 64 }, (_, at) => numbers(at)).buffer);
  const reads = { count: 0 };
  const stream = () => {
    reads.count++;
    return [bytes];
  };
  const tensor: FloatTensor = { name: 'a', dtype: 'f32', shape: [64], byteLength: bytes.length, stream };
  return { tensor, reads };
}

test('two targets that name and shape a weight in their own ways read it once for its palette', async () => {
  const { tensor, reads } = countedTensor((at) => at / 64);
  const one = palettize(tensor, { bits: 2, groups: 1 });
  const other = palettize({ ...tensor, name: 'b', shape: [8, 8] }, { bits: 2, groups: 1 });
  expect(await other.palettes()).toEqual(await one.palettes());
  expect(reads.count).toBe(1);
});

test.each([
  { bits: 4, groups: 1 },
  { bits: 2, groups: 4 },
  { bits: 2, groups: 1, storage: 'int8' },
] as const)('other options are another palette: %o', async (options) => {
  const { tensor } = countedTensor((at) => (at * at) / 4096);
  const palettes = await palettize(tensor, { bits: 2, groups: 1 }).palettes();
  expect(await palettize(tensor, options).palettes()).not.toEqual(palettes);
});

test('a weight after another is counted from nothing', async () => {
  const [ones, twos] = [countedTensor(() => 1), countedTensor(() => 2)];
  for (const { tensor } of [ones, twos]) await palettize(tensor, { bits: 1, groups: 1 }).palettes();
  const [palette] = await palettize(twos.tensor, { bits: 1, groups: 1 }).palettes();
  expect(palette).toMatchObject({ used: 1, entries: Float64Array.of(2, 0), energy: 64 * 4 });
});
