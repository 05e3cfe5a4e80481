import { expect, test } from 'vitest';
import { FileFormatError } from '../../../src/errors.ts';
import { readOnnxHeader } from '../../../src/formats/onnx/onnx-header.ts';
import { encodeModel, type ModelProto } from '../../../src/formats/onnx/proto.ts';
import { memorySource } from '../../support/memory-source.ts';

const constant = { name: 'small', dataType: 1, dims: [2], floatData: [1, 2] };
const loop = {
  name: 'body',
  type: 5,
  g: { name: 'loop', node: [{ opType: 'Add' }], initializer: [constant] },
};
const model: ModelProto = {
  irVersion: 10,
  opsetImport: [{ domain: '', version: 21 }],
  producerName: 'test',
  metadataProps: [{ key: 'model', value: 'unet' }],
  graph: {
    name: 'main',
    node: [{ opType: 'Loop', input: ['x'], output: ['y'], attribute: [loop] }],
    initializer: [
      { name: 'raw', dataType: 1, dims: [1000], rawData: new Uint8Array(4000) },
      { name: 'typed', dataType: 7, dims: [1000], int64Data: Array.from({ length: 1000 }, (_, i) => i) },
    ],
    input: [
      {
        name: 'x',
        type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'batch' }, { dimValue: 4 }] } } },
      },
    ],
  },
};

function encoded(message: ModelProto = model): Uint8Array {
  return encodeModel(message);
}

test('everything is read but the elements of tensors', async () => {
  const found = await readOnnxHeader(memorySource(encoded()));
  const { initializer, ...graph } = model.graph ?? {};
  const { floatData: _, ...small } = constant;
  const expected = {
    ...model,
    graph: {
      ...graph,
      node: [
        {
          opType: 'Loop',
          input: ['x'],
          output: ['y'],
          attribute: [{ ...loop, g: { ...loop.g, initializer: [small] } }],
        },
      ],
      initializer: (initializer ?? []).map(({ rawData: _, int64Data: __, ...rest }) => rest),
    },
  };
  expect(Buffer.from(encodeModel(found))).toEqual(Buffer.from(encoded(expected)));
});

test('a gigabyte of weights in the file costs no more than their place in it', async () => {
  const byteLength = 2 ** 30;
  const start = encoded({ irVersion: 10, opsetImport: [{ version: 21 }] });
  // Fields by hand: graph (7) { node (1), initializer (5) { raw_data (9) } }, lengths as variable-length integers.
  const node = [0x0a, 6, 0x22, 4, ...new TextEncoder().encode('Conv')];
  const raw = [0x4a, ...varint(byteLength)];
  const initializer = [0x2a, ...varint(raw.length + byteLength), ...raw];
  const graph = [0x3a, ...varint(node.length + initializer.length + byteLength), ...node, ...initializer];
  const bytes = Uint8Array.from([...start, ...graph]);
  let read = 0;
  const source = {
    name: 'huge.onnx',
    size: bytes.length + byteLength,
    async read(into: Uint8Array, offset: number) {
      read += into.length;
      into.set(bytes.subarray(offset, offset + into.length));
    },
    close: async () => {},
  };
  const { graph: found } = await readOnnxHeader(source);
  expect(found?.node?.[0]?.opType).toBe('Conv');
  expect(found?.initializer).toHaveLength(1);
  expect(read).toBeLessThan(1 << 17);
});

test('what is cut short, deeper than any model or no ONNX at all is refused', async () => {
  const bytes = encoded();
  let nested = Uint8Array.of();
  for (let level = 0; level < 40; level++) {
    const attribute = field(6, nested); // node (1) { attribute (5) { graph (6) } }
    nested = field(1, field(5, attribute));
  }
  for (const bad of [
    bytes.subarray(0, -50),
    new Uint8Array(),
    Uint8Array.of(8, 10),
    field(7, nested),
    new Uint8Array(99).fill(0xff),
  ]) {
    await expect(readOnnxHeader(memorySource(bad, 'bad.onnx'))).rejects.toThrow(FileFormatError);
  }
});

function field(number: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([8 * number + 2, ...varint(content.length), ...content]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))];
}
