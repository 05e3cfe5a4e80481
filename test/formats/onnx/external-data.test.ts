import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  layOutTensors,
  MAX_DATA_FILE_BYTES,
  placements,
  storedSize,
} from '../../../src/formats/onnx/external-data.ts';
import type { TensorStream } from '../../../src/weights/tensor-stream.ts';

const tensorLists = fc.array(
  fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 4000, max: 20_000 })),
  { maxLength: 30 },
);

test('tensors lie in order without overlap, those of a page or more on a page, others on a cache line', () => {
  fc.assert(
    fc.property(tensorLists, fc.integer({ min: 1, max: 60_000 }), (sizes, limit) => {
      const files = layOutTensors(sizes.map(tensor), 'data', limit);
      expect(files.flatMap(({ tensors }) => tensors.map((each) => each.tensor.name))).toEqual(
        sizes.map((_, i) => `t${i}`),
      );
      for (const file of files) {
        let end = 0;
        for (const { tensor, offset } of file.tensors) {
          expect(offset).toBeGreaterThanOrEqual(end);
          expect(offset % (tensor.byteLength >= 4096 ? 4096 : 64)).toBe(0);
          end = offset + tensor.byteLength;
        }
        expect(file.byteLength).toBe(end);
      }
    }),
  );
});

test('a file stays within the limit, unless a single tensor is larger, which then has a file of its own', () => {
  fc.assert(
    fc.property(tensorLists, fc.integer({ min: 1, max: 60_000 }), (sizes, limit) => {
      for (const { byteLength, tensors } of layOutTensors(sizes.map(tensor), 'data', limit)) {
        if (byteLength > limit) expect(tensors).toHaveLength(1);
      }
    }),
  );
});

test('no tensor adds more to a file than is reckoned with', () => {
  fc.assert(
    fc.property(tensorLists, (sizes) => {
      const reckoned = sizes.reduce((sum, size, i) => sum + storedSize(tensor(size, i)), 0);
      const written = layOutTensors(sizes.map(tensor), 'data').reduce(
        (sum, { byteLength }) => sum + byteLength,
        0,
      );
      expect(written).toBeLessThanOrEqual(reckoned);
    }),
  );
});

test('files are numbered after the first, and a tensor is found by its name', () => {
  const files = layOutTensors([tensor(5000, 0), tensor(10, 1), tensor(5000, 2)], 'model.onnx_data', 6000);
  expect(files.map(({ location, byteLength }) => [location, byteLength])).toEqual([
    ['model.onnx_data', 5066],
    ['model.onnx_data_1', 5000],
  ]);
  expect(Object.fromEntries(placements(files))).toEqual({
    t0: { location: 'model.onnx_data', offset: 0, length: 5000 },
    t1: { location: 'model.onnx_data', offset: 5056, length: 10 },
    t2: { location: 'model.onnx_data_1', offset: 0, length: 5000 },
  });
});

test('of nothing there is no file', () => {
  expect(layOutTensors([], 'data')).toEqual([]);
});

test('every file of the largest models can be held in one buffer of a browser', () => {
  const sizes = Array(5).fill(900_000_000);
  for (const { byteLength } of layOutTensors(sizes.map(tensor), 'data'))
    expect(byteLength).toBeLessThan(2 ** 31);
  expect(MAX_DATA_FILE_BYTES).toBeLessThan(2 ** 31);
});

function tensor(byteLength: number, index: number): TensorStream {
  return {
    name: `t${index}`,
    byteLength,
    stream() {
      throw new Error('nothing is read when tensors are laid out');
    },
  };
}
