import { expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/io/bytes.ts';
import { renamed, reshaped, rowsOf, transposed } from '../../src/weights/derived-weight.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { memoryWeight, unreadWeight } from '../support/memory-weight.ts';
import { scattered } from '../support/scattered.ts';

/** A float32 weight that comes in blocks, as files give them. */
function inBlocks(shape: readonly [number, number], blockBytes = BLOCK_BYTES) {
  const data = scattered(shape[0] * shape[1], 1);
  const bytes = new Uint8Array(data.buffer);
  let asked = 0;
  const weight: Weight = {
    ...memoryWeight('w', shape, data),
    async *stream() {
      const block = new Uint8Array(blockBytes); // one buffer for all blocks
      for (let at = 0; at < bytes.length; at += blockBytes) {
        const part = bytes.subarray(at, at + blockBytes);
        asked += part.length;
        block.set(part);
        yield block.subarray(0, part.length);
      }
    },
  };
  return { data, weight, asked: () => asked };
}

test.for([
  [0, 300],
  [300, 600],
  [599, 600],
  [5, 5],
] as const)('rows %i to %i of a tensor of several blocks are those elements', async ([start, end]) => {
  const { data, weight } = inBlocks([600, 1000]);
  const rows = await readTensor(rowsOf(weight, start, end), 'f32');
  expect(rows.shape).toEqual([end - start, 1000]);
  expect(rows.data).toEqual(data.slice(start * 1000, end * 1000));
});

test('rows end the reading where they end', async () => {
  const { weight, asked } = inBlocks([600, 1000], 1 << 16);
  await readTensor(rowsOf(weight, 0, 10), 'f32');
  expect(asked()).toBe(1 << 16);
});

test('rows are counted in elements of the dtype that is asked for', async () => {
  const weight = memoryWeight('w', [4, 2], Float32Array.from([0, 1, 2, 3, 4, 5, 6, 7]));
  expect([...(await readTensor(rowsOf(weight, 1, 3), 'f16')).data]).toEqual([0x4000, 0x4200, 0x4400, 0x4500]);
});

test('a transposed matrix has its columns as rows', async () => {
  const { data, weight } = inBlocks([700, 900]);
  const { shape, data: found } = await readTensor(transposed(weight), 'f32');
  expect(shape).toEqual([900, 700]);
  expect([found[1], found[700], found[899 * 700 + 699]]).toEqual([data[900], data[1], data[699 * 900 + 899]]);
});

test('another name or shape reads nothing', () => {
  const weight = unreadWeight('w', [4, 4, 1, 1]);
  expect(renamed(weight, 'v')).toMatchObject({ name: 'v', shape: [4, 4, 1, 1] });
  expect(reshaped(weight, [4, 4])).toMatchObject({ name: 'w', shape: [4, 4] });
  expect(transposed(reshaped(weight, [2, 8])).shape).toEqual([8, 2]);
});

test('what does not fit is refused', () => {
  const weight = unreadWeight('w', [4, 4]);
  expect(() => reshaped(weight, [4, 5])).toThrow('w [4,4] cannot be seen as [4,5]');
  expect(() => rowsOf(weight, 2, 5)).toThrow('w [4,4] has no rows 2 to 5');
  expect(() => transposed(reshaped(weight, [16]))).toThrow('is no matrix');
});
