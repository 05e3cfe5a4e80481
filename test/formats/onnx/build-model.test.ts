import { describe, expect, test } from 'vitest';
import { buildOnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { dataTypes, toNumber } from '../../../src/formats/onnx/proto.ts';
import { symbol } from '../../../src/graph/dim.ts';
import { add, cast, mul, scale, sigmoid, silu } from '../../../src/graph/functions.ts';
import { type Graph, GraphBuilder } from '../../../src/graph/graph.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { memoryWeight, unreadWeight } from '../../support/memory-weight.ts';
import { onnxText } from '../../support/onnx-text.ts';
import { runOnnx } from '../../support/run-onnx.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = temporaryFolder();
const pair = { dtype: 'f32', shape: [2] } as const;

test('a model says what it is, who made it and for which ONNX', () => {
  const { proto } = model(({ x }) => ({ y: silu(x) }), { model: 'unet', precision: 'float16' });
  expect(proto).toMatchObject({
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    producerName: 'sdconvert',
  });
  expect(proto.graph?.name).toBe('unet');
  expect(proto.metadataProps).toEqual([
    { key: 'model', value: 'unet' },
    { key: 'precision', value: 'float16' },
  ]);
});

test('inputs and outputs are declared in their order, with free sizes by name', () => {
  const builder = new GraphBuilder();
  const sample = builder.input('sample', { dtype: 'f32', shape: [symbol('batch'), 4, symbol('height'), 8] });
  const ids = builder.input('ids', { dtype: 'i64', shape: [1, 3] });
  const pads = { top: 1, left: 1, bottom: 1, right: 1 };
  const kernel = builder.weight(unreadWeight('conv.weight', [4, 4, 3, 3]), {
    dtype: 'f32',
    shape: [4, 4, 3, 3],
  });
  const half = builder.apply({ kind: 'conv2d', stride: 2, pads }, [sample, kernel], 'conv');
  const { proto } = buildOnnxModel(
    builder.finish([
      { name: 'out', tensor: half },
      { name: 'same', tensor: cast(ids, 'i32') },
    ]),
    {},
  );
  expect(proto.graph?.input?.map(declared)).toEqual(['sample 1 batch,4,height,8', 'ids 7 1,3']);
  expect(proto.graph?.output?.map(declared)).toEqual(['out 1 batch,4,height / 2,4', 'same 6 1,3']);
});

test('every computed value is declared, so that a model can be cut anywhere', () => {
  const { proto } = model(({ x }) => ({ y: silu(scale(silu(x), 2)) }));
  expect(proto.graph?.valueInfo?.map(declared)).toEqual(['x/silu 1 2', 'x/mul 1 2']);
});

test('weights are in the data file, in the dtype and shape they are computed with; small numbers in the model', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', { dtype: 'f16', shape: [2, 3] });
  const weight = builder.weight(unreadWeight('gain', [6]), { dtype: 'f16', shape: [2, 3] });
  const y = mul(mul(x, weight), builder.constant(Float32Array.of(1, 0.5, 1 / 3), [3], 'table', 'f16'));
  const { proto, dataFiles } = buildOnnxModel(builder.finish([{ name: 'y', tensor: y }]), {});
  const [table, gain] = proto.graph?.initializer ?? [];
  expect(table).toMatchObject({ name: 'table', dims: [3], dataType: dataTypes.f16 });
  expect([...new Uint16Array(table?.rawData?.slice().buffer ?? new ArrayBuffer())]).toEqual([
    0x3c00, 0x3800, 0x3555,
  ]);
  expect(gain).toMatchObject({ name: 'gain', dims: [2, 3], dataType: dataTypes.f16 });
  expect(gain?.externalData).toEqual([
    { key: 'location', value: 'model.onnx_data' },
    { key: 'offset', value: '0' },
    { key: 'length', value: '12' },
  ]);
  expect(dataFiles).toMatchObject([{ location: 'model.onnx_data', byteLength: 12 }]);
});

describe('an output has its name, whatever the graph calls the tensor:', () => {
  const x = { dtype: 'f32', shape: [2], data: Float32Array.of(1, -2) } as const;

  test.each<[string, (given: Given) => Record<string, Tensor>, string]>([
    ['a computed tensor takes it', ({ x }) => ({ y: sigmoid(x) }), 'y = Sigmoid(x)'],
    [
      'a tensor with two takes the first',
      ({ x }) => ({ y: add(x, x), z: add(x, x) }),
      'y = Add(x, x)\nz = Identity(y)',
    ],
    ['an input keeps its own', ({ x }) => ({ y: x }), 'y = Identity(x)'],
    ['a weight keeps its own', ({ weight }) => ({ y: weight }), 'y = Identity(gain)'],
    [
      'a tensor that had it gives it up',
      ({ x }) => ({ 'x/add': add(add(x, x), x) }),
      'x/add/inner = Add(x, x)\nx/add = Add(x/add/inner, x)',
    ],
    [
      'two tensors exchange theirs',
      ({ x }) => ({ 'x/add_2': add(x, x), 'x/add': add(add(x, x), x) }),
      'x/add_2 = Add(x, x)\nx/add = Add(x/add_2, x)',
    ],
  ])('%s', async (what, outputs, text) => {
    const built = model(outputs);
    expect(onnxText(built.proto)).toBe(text);
    const results = await runOnnx(built, inFolder(what), { x });
    expect(Object.keys(results)).toEqual(built.proto.graph?.output?.map(({ name }) => name));
  });

  test('the name of an input or a weight it cannot have', () => {
    expect(() => model(({ x }) => ({ x: silu(x) }))).toThrow(
      'the output x has the name of an input or a weight',
    );
    expect(() => model(({ x, weight }) => ({ gain: add(x, weight) }))).toThrow(
      'the output gain has the name',
    );
  });
});

interface Given {
  readonly x: Tensor;
  readonly weight: Tensor;
}

function model(
  outputs: (given: Given) => Readonly<Record<string, Tensor>>,
  metadata: Record<string, string> = {},
) {
  return buildOnnxModel(graphOf(outputs), metadata);
}

function graphOf(outputs: (given: Given) => Readonly<Record<string, Tensor>>): Graph {
  const builder = new GraphBuilder();
  const weight = builder.weight(memoryWeight('gain', [2], Float32Array.of(3, 4)), pair);
  const made = outputs({ x: builder.input('x', pair), weight });
  return builder.finish(Object.entries(made).map(([name, tensor]) => ({ name, tensor })));
}

function declared({
  name,
  type,
}: NonNullable<NonNullable<ReturnType<typeof model>['proto']['graph']>['input']>[number]): string {
  const dims = type?.tensorType?.shape?.dim ?? [];
  return `${name} ${type?.tensorType?.elemType} ${dims.map(({ dimParam, dimValue }) => dimParam ?? toNumber(dimValue))}`;
}
