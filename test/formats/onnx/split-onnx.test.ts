import { describe, expect, test } from 'vitest';
import { optimumContract } from '../../../src/convert/contracts/optimum.ts';
import { convert } from '../../../src/convert/convert.ts';
import { ChunkBudgetError } from '../../../src/errors.ts';
import { buildOnnxModel, type OnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { layOutTensors } from '../../../src/formats/onnx/external-data.ts';
import {
  AttributeType,
  dataTypes,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from '../../../src/formats/onnx/proto.ts';
import { splitOnnx } from '../../../src/formats/onnx/split-onnx.ts';
import { withPrecision } from '../../../src/quantize/precision.ts';
import { psnr } from '../../../src/validate/psnr.ts';
import { fullSizeCheckpoint } from '../../support/full-size.ts';
import { feedsOf, readGoldens } from '../../support/goldens.ts';
import { onnxText } from '../../support/onnx-text.ts';
import { recorded, recordedNetworks } from '../../support/recorded-networks.ts';
import { runOnnx, type Tensors } from '../../support/run-onnx.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { thrownBy } from '../../support/thrown-by.ts';

const networks = recordedNetworks(recorded);
const inFolder = temporaryFolder();

describe('a chain of chunks computes bit for bit what the whole does, where each node is run as it is written', () => {
  test.each([
    ['sd21', 'vae_decoder', 'float32', 3],
    ['sd21', 'vae_encoder', 'float16-weights', 2],
    ['sd-shapes', 'unet', 'float32', 2],
    ['sd-shapes', 'unet', 'float16-weights', 4],
  ] as const)('%s: the %s in %s, in %d chunks', async (name, model, precision, count) => {
    const { whole, chained } = await wholeAndChain(name, model, precision, count);
    for (const [output, tensor] of Object.entries(whole)) expect(chained[output]).toEqual(tensor);
  });

  test('but for float16, where onnxruntime keeps float32 from node to node, and a cut does not', async () => {
    const { whole, chained } = await wholeAndChain('sd21', 'vae_decoder', 'float16', 2);
    for (const [output, { data }] of Object.entries(whole)) {
      // Measured: 87.4 dB.
      expect(psnr(numbers(data), numbers(chained[output]?.data))).toBeGreaterThan(79);
    }
  });
});

describe('the chunks of a UNet at full size', () => {
  const [model] = convert(fullSizeCheckpoint('sd15'), {
    contract: optimumContract,
    attention: 'ORIGINAL',
    sizes: {},
    models: ['unet'],
  });
  const graph = model ? withPrecision(model.graph, 'float16') : undefined;
  const whole = graph ? buildOnnxModel(graph, { model: 'unet', precision: 'float16' }) : undefined;
  const gigabyte = 1_000_000_000;

  test('are near-equal, and their files stay under the size that is asked for', () => {
    const chunks = split(whole, gigabyte);
    expect(chunks).toHaveLength(2);
    for (const size of chunks.map(dataBytes)) {
      expect(size).toBeLessThanOrEqual(gigabyte);
      expect(size).toBeGreaterThan(0.45 * dataBytes(whole));
    }
    for (const chunk of split(whole, 0.2 * gigabyte))
      expect(dataBytes(chunk)).toBeLessThanOrEqual(0.2 * gigabyte);
  });

  test('have every weight once between them, and every node but those that lay inputs out', () => {
    const names = (models: readonly (OnnxModel | undefined)[]) =>
      models.flatMap(
        (each) => each?.dataFiles.flatMap(({ tensors }) => tensors.map(({ tensor }) => tensor.name)) ?? [],
      );
    expect(names(split(whole, gigabyte)).toSorted()).toEqual(names([whole]).toSorted());
  });

  test('take the model’s inputs where they need them and pass on what the next one needs, float16 as float32', () => {
    const [first, second] = split(whole, gigabyte).map(({ proto }) => ({
      inputs: proto.graph?.input?.map(({ name }) => name) ?? [],
      outputs: proto.graph?.output ?? [],
      facts: proto.metadataProps,
    }));
    expect(first?.inputs).toEqual(['sample', 'timestep', 'encoder_hidden_states']);
    expect(second?.inputs.slice(0, 1)).toEqual(['encoder_hidden_states']);
    expect(second?.inputs.slice(1)).toEqual(first?.outputs.map(({ name }) => name));
    for (const { name, type } of first?.outputs ?? []) {
      expect(name).toMatch(/_float32$/);
      expect(type?.tensorType?.elemType).toBe(dataTypes.f32);
    }
    expect(second?.outputs.map(({ name }) => name)).toEqual(['out_sample']);
    expect(second?.facts).toEqual([
      { key: 'model', value: 'unet' },
      { key: 'precision', value: 'float16' },
      { key: 'chunk', value: 'chunk 2 of 2' },
    ]);
  });

  test('cannot be smaller than its largest operation', () => {
    expect(thrownBy(() => split(whole, 1_000_000))).toBeInstanceOf(ChunkBudgetError);
  });
});

describe('a model that another tool wrote', () => {
  // y = relu(x·a)·b and z = c·y·d, with the weights in the model itself.
  const model = foreign({
    node: [
      node('Split', ['c'], ['half', 'unused'], [{ name: 'axis', type: AttributeType.INT, i: 0 }]),
      node('MatMul', ['x', 'a'], ['xa']),
      node('Relu', ['xa'], ['h']),
      node('MatMul', ['h', 'b'], ['y']),
      node('MatMul', ['y', 'd'], ['yd']),
      node('Mul', ['yd', 'half'], ['z']),
    ],
    initializer: [tensor('a', [4, 4]), tensor('b', [4, 4]), tensor('c', [2]), tensor('d', [4, 4])],
    input: [value('x', [1, 4])],
    output: [value('y', [1, 4]), value('z', [1, 4])],
    valueInfo: [value('xa', [1, 4]), value('h', [1, 4]), value('yd', [1, 4])],
  });
  const x = { dtype: 'f32', shape: [1, 4], data: Float32Array.of(1, -2, 3, -4) } as const;

  test('keeps its version of ONNX and of its operators, and its maker', () => {
    for (const { proto } of split(model, 80)) {
      expect(proto).toMatchObject({
        irVersion: 8,
        opsetImport: [{ domain: '', version: 17 }],
        producerName: 'another',
      });
    }
  });

  test('is cut by the weights inside of it', () => {
    expect(split(model, 80).map(({ proto }) => onnxText(proto))).toMatchInlineSnapshot(`
      [
        "xa = MatMul(x, a)",
        "h = Relu(xa)
      y = MatMul(h, b)",
        "half, unused = Split(c) axis=0
      yd = MatMul(y, d)
      z = Mul(yd, half)",
      ]
    `);
  });

  test('gives an output that it goes on computing with once, and the chain gives all of them', async () => {
    const chunks = split(model, 80);
    expect(chunks.map(({ proto }) => proto.graph?.output?.map(({ name }) => name))).toEqual([
      ['xa'],
      ['y'],
      ['z'],
    ]);
    const whole = await runOnnx(model, inFolder('foreign'), { x }, 'disabled');
    const chained = await runChain(chunks, 'foreign', { x });
    expect(chained.y).toEqual(whole.y);
    expect(chained.z).toEqual(whole.z);
  });

  test('cannot be cut where the type of what would cross is not known', () => {
    const untyped = foreign({ ...model.proto.graph, valueInfo: [] });
    expect(() => split(untyped, 80)).toThrow(ChunkBudgetError);
  });
});

/** The outputs of a network, and those of its chunks run one after another, for the first recorded call. */
async function wholeAndChain(
  name: keyof typeof recorded,
  component: 'unet' | 'vae_decoder' | 'vae_encoder',
  precision: 'float32' | 'float16' | 'float16-weights',
  count: number,
): Promise<{ whole: Tensors; chained: Tensors }> {
  const model = buildOnnxModel(withPrecision(networks.graph(name, component), precision), {});
  const [golden] = await readGoldens(recorded[name].goldens, component);
  if (!golden) throw new Error('nothing is recorded');
  const feeds = feedsOf(golden, model.proto.graph?.input?.map((info) => info.name ?? '') ?? []);
  const title = `${name}-${component}-${precision}`;
  const chunks = split(model, (dataBytes(model) / count) * 1.15);
  expect(chunks).toHaveLength(count);
  return {
    whole: await runOnnx(model, inFolder(title), feeds, 'disabled'),
    chained: await runChain(chunks, title, feeds),
  };
}

/** Runs chunks one after another; each takes what it needs from what is there and adds what it makes. */
async function runChain(chunks: readonly OnnxModel[], title: string, feeds: Tensors): Promise<Tensors> {
  let known = feeds;
  for (const [index, chunk] of chunks.entries()) {
    const needed = chunk.proto.graph?.input?.map(({ name }) => name ?? '') ?? [];
    const fed = Object.fromEntries(
      needed.flatMap((name) => (known[name] ? [[name, known[name]] as const] : [])),
    );
    known = { ...known, ...(await runOnnx(chunk, inFolder(`${title}_chunk${index + 1}`), fed, 'disabled')) };
  }
  return known;
}

function split(model: OnnxModel | undefined, maxBytes: number): OnnxModel[] {
  return model ? splitOnnx(model, maxBytes) : [];
}

function dataBytes(model: OnnxModel | undefined): number {
  return model?.dataFiles.reduce((sum, { byteLength }) => sum + byteLength, 0) ?? 0;
}

function numbers(data: Tensors[string]['data'] | undefined): number[] {
  return Array.from<number | bigint, number>(data ?? [], Number);
}

function foreign(graph: OnnxModel['proto']['graph']): OnnxModel {
  return {
    proto: {
      irVersion: 8,
      opsetImport: [{ domain: '', version: 17 }],
      producerName: 'another',
      graph: { name: 'g', ...graph },
    },
    dataFiles: layOutTensors([], 'model.onnx_data'),
  };
}

function node(
  opType: string,
  input: string[],
  output: string[],
  attribute: NodeProto['attribute'] = [],
): NodeProto {
  return { opType, name: output[0] ?? '', input, output, attribute: attribute ?? [] };
}

function tensor(name: string, dims: number[]): TensorProto {
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => (i % 5) - 2);
  return { name, dims, dataType: dataTypes.f32, rawData: new Uint8Array(data.buffer) };
}

function value(name: string, dims: number[]): ValueInfoProto {
  return {
    name,
    type: { tensorType: { elemType: dataTypes.f32, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
  };
}
