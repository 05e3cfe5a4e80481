import { expect, test } from 'vitest';
import { UnsupportedModelError } from '../../src/errors.ts';
import { BLOCK_BYTES } from '../../src/io/bytes.ts';
import { elementCount } from '../../src/weights/dtype.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import type { PickledTensor } from '../../src/weights/torch/pickle-value.ts';
import { torchTensors } from '../../src/weights/torch/torch-tensors.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { memorySource } from '../support/memory-source.ts';

/** A float32 tensor over a storage that counts from 0. */
function weightOver(elements: number, tensor: Pick<PickledTensor, 'offset' | 'shape' | 'strides'>): Weight {
  const numbers = new Uint8Array(Float32Array.from({ length: elements }, (_, i) => i).buffer);
  return weightIn(memorySource(numbers, 'model.ckpt'), elements, tensor);
}

function weightIn(
  source: ReturnType<typeof memorySource>,
  elements: number,
  tensor: Pick<PickledTensor, 'offset' | 'shape' | 'strides'>,
): Weight {
  const storage = { kind: 'storage', key: '0', dtype: 'f32', elements } as const;
  const root = new Map([['w', { kind: 'tensor', dtype: 'f32', storage, ...tensor } as const]]);
  const { weights } = torchTensors(root, new Map([['0', { offset: 0, bytes: 4 * elements }]]), source);
  const weight = weights.get('w');
  if (!weight) throw new Error('no w');
  return weight;
}

/** What a tensor over a storage that counts from 0 holds, element by element. */
function expected(offset: number, shape: readonly number[], strides: readonly number[]): Float32Array {
  return Float32Array.from({ length: elementCount(shape) }, (_, index) => {
    let at = offset;
    let rest = index;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += (rest % (shape[axis] ?? 1)) * (strides[axis] ?? 0);
      rest = Math.floor(rest / (shape[axis] ?? 1));
    }
    return at;
  });
}

test.each([
  ['a transposed matrix', 0, [301, 1001], [1, 301]],
  ['a convolution with its channels last', 3, [420, 70, 3, 3], [630, 1, 210, 70]],
  ['every third column', 1, [440, 600], [1800, 3]],
  ['one column', 2, [263_000], [3]],
])('%s, larger than a block, comes row by row in blocks', async (_name, offset, shape, strides) => {
  const weight = weightOver(800_000, { offset, shape, strides });
  expect((await readTensor(weight, 'f32')).data).toEqual(expected(offset, shape, strides));
  const half = new Uint16Array(Float16Array.from(expected(offset, shape, strides)).buffer);
  expect((await readTensor(weight, 'f16')).data).toEqual(half);
  for await (const block of weight.stream('f32')) expect(block.length).toBeLessThanOrEqual(BLOCK_BYTES);
});

test('a tensor that cannot be put in order in 0.5 GB is refused before anything is read', () => {
  const source = memorySource(new Uint8Array(), 'model.ckpt');
  const open = (rows: number) =>
    weightIn(source, rows * 20_000, { offset: 0, shape: [20_000, rows], strides: [1, 20_000] });
  expect(open(6_000).shape).toEqual([20_000, 6_000]);
  expect(() => open(7_000)).toThrow(UnsupportedModelError);
  expect(() => open(7_000)).toThrow('model.ckpt has a tensor that is not stored row by row');
});
