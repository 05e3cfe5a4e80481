import { expect, test } from 'vitest';
import { readStream } from '../../src/weights/tensor-stream.ts';

const blocks = [Uint8Array.of(1, 2), Uint8Array.of(3)];

test('a stream is read whole, block by block', async () => {
  expect(await readStream({ name: 'w', byteLength: 3, stream: () => blocks })).toEqual(
    Uint8Array.of(1, 2, 3),
  );
});

test.each([
  [2, 3],
  [4, 3],
])('a stream that should have %d bytes and gives another number is our bug', async (byteLength, given) => {
  const reading = readStream({ name: 'w', byteLength, stream: () => blocks });
  await expect(reading).rejects.toThrow(`w gave ${given} bytes instead of ${byteLength}`);
});
