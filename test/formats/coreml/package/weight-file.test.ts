import { expect, test } from 'vitest';
import {
  type Blob,
  WeightFileLayout,
  weightFileParts,
} from '../../../../src/formats/coreml/package/weight-file.ts';
import { readStream } from '../../../../src/weights/tensor-stream.ts';

test('a weight file is, byte for byte, what the format says', async () => {
  const layout = new WeightFileLayout();
  expect(layout.add(blobOf('fp16', [1, 2, 3, 4, 5, 6]))).toBe(64);
  expect(layout.add({ ...blobOf('uint4', [0x21, 0x03]), paddingBits: 4 })).toBe(192);
  expect(layout.byteLength).toBe(258);

  const expected = new Uint8Array(258);
  const view = new DataView(expected.buffer);
  view.setUint32(0, 2, true); // blobs
  view.setUint32(4, 2, true); // version
  view.setUint32(64, 0xdeadbeef, true);
  view.setUint32(68, 1, true); // float16
  view.setUint32(72, 6, true); // bytes
  view.setUint32(80, 128, true); // where
  expected.set([1, 2, 3, 4, 5, 6], 128);
  view.setUint32(192, 0xdeadbeef, true);
  view.setUint32(196, 11, true); // uint4
  view.setUint32(200, 2, true);
  view.setUint32(208, 256, true);
  view.setUint32(216, 4, true); // unused bits
  expected.set([0x21, 0x03], 256);
  expect(await written(layout)).toEqual(expected);
});

test('the first record of each element type carries its code in the format', async () => {
  const codes = {
    fp16: 1,
    fp32: 2,
    uint8: 3,
    int8: 4,
    uint1: 9,
    uint2: 10,
    uint4: 11,
    uint3: 12,
    uint6: 13,
    int32: 14,
  } as const;
  for (const [dtype, code] of Object.entries(codes)) {
    const layout = new WeightFileLayout();
    // as: `entries` forgets that the keys are element types.
    layout.add(blobOf(dtype as keyof typeof codes, [0, 0, 0, 0]));
    expect((await written(layout))[68], dtype).toBe(code);
  }
});

test('records begin at multiples of 64, and nothing follows the last blob', async () => {
  const layout = new WeightFileLayout();
  const offsets = [1, 64, 65, 128].map((size) => layout.add(blobOf('uint8', Array(size).fill(7))));
  expect(offsets).toEqual([64, 192, 320, 512]);
  expect(layout.byteLength).toBe(512 + 64 + 128);
  expect((await written(layout)).length).toBe(layout.byteLength);
});

test('a file without weights is a header', async () => {
  expect(await written(new WeightFileLayout())).toHaveLength(64);
});

test('a blob that gives another number of bytes than announced is refused', async () => {
  const layout = new WeightFileLayout();
  layout.add({ ...blobOf('fp16', [1, 2]), byteLength: 4 });
  await expect(written(layout)).rejects.toThrow('some weight gave 2 bytes instead of 4');
});

test('an element type that no weight file can hold is refused', () => {
  expect(() => new WeightFileLayout().add(blobOf('bool', [1]))).toThrow('cannot hold bool');
});

function blobOf(dtype: Blob['dtype'], bytes: readonly number[]): Blob {
  return { name: 'some weight', dtype, byteLength: bytes.length, stream: () => [Uint8Array.from(bytes)] };
}

async function written(layout: WeightFileLayout): Promise<Uint8Array> {
  const bytes = new Uint8Array(layout.byteLength);
  for (const { offset, tensor } of weightFileParts(layout)) bytes.set(await readStream(tensor), offset);
  return bytes;
}
