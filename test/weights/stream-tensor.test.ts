import { expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/io/bytes.ts';
import { type StoredTensor, streamTensor } from '../../src/weights/stream-tensor.ts';

/** Float32s per block. */
const BLOCK = BLOCK_BYTES / 4;

/** Three blocks and a half of float32s, each the number of its block. `begun` and `ended` list the first elements of reads. */
function countingTensor(failAt?: number) {
  const [begun, ended]: [number[], number[]] = [[], []];
  const tensor: StoredTensor = {
    name: 'counting',
    dtype: 'f32',
    shape: [3.5 * BLOCK],
    file: 'counting.safetensors',
    async read(into, first) {
      begun.push(first / BLOCK);
      await new Promise((resolve) => setImmediate(resolve));
      if (first / BLOCK === failAt) throw new Error('the disk is gone');
      new Float32Array(into.buffer, into.byteOffset, into.length / 4).fill(first / BLOCK);
      ended.push(first / BLOCK);
    },
  };
  return { tensor, begun, ended };
}

function firstAndLast(block: Uint8Array): readonly (number | undefined)[] {
  const values = new Float32Array(block.buffer, block.byteOffset, block.length / 4);
  return [values.at(0), values.at(-1), values.length];
}

test.each(['f32', 'f16'] as const)('as %s, the next block is read while one is in use', async (to) => {
  const { tensor, begun, ended } = countingTensor();
  const seen: unknown[] = [];
  for await (const block of streamTensor(tensor, to)) {
    const index = seen.length;
    expect(begun.at(-1)).toBe(Math.min(index + 1, 3));
    await new Promise((resolve) => setTimeout(resolve, 5)); // until it is read: into other memory
    expect(ended.at(-1)).toBe(Math.min(index + 1, 3));
    const [first, last, length] = to === 'f32' ? firstAndLast(block) : halves(block);
    seen.push([first, last, length]);
  }
  expect(seen).toEqual([
    [0, 0, BLOCK],
    [1, 1, BLOCK],
    [2, 2, BLOCK],
    [3, 3, BLOCK / 2],
  ]);
});

test('a consumer that stops early waits for the read that has begun', async () => {
  const { tensor, begun, ended } = countingTensor();
  for await (const _ of streamTensor(tensor, 'f32')) break;
  expect(ended).toEqual(begun);
});

test('a read that fails ahead throws when its block is wanted', async () => {
  const { tensor } = countingTensor(1);
  const stream = streamTensor(tensor, 'f32');
  expect((await stream.next()).done).toBe(false);
  await new Promise((resolve) => setTimeout(resolve, 5)); // failed by now, and not unhandled
  await expect(stream.next()).rejects.toThrow('the disk is gone');
});

function halves(block: Uint8Array): readonly (number | undefined)[] {
  const values = new Float16Array(block.buffer, block.byteOffset, block.length / 2);
  return [values.at(0), values.at(-1), values.length];
}
