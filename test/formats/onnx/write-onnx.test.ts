import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import { optimumContract } from '../../../src/convert/contracts/optimum.ts';
import { convert } from '../../../src/convert/convert.ts';
import { buildOnnxModel, type OnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { decodeModel, toNumber } from '../../../src/formats/onnx/proto.ts';
import { plannedFiles, writeOnnx } from '../../../src/formats/onnx/write-onnx.ts';
import { mul } from '../../../src/graph/functions.ts';
import { GraphBuilder } from '../../../src/graph/graph.ts';
import { withPrecision } from '../../../src/quantize/precision.ts';
import { bytesOf, readTensor } from '../../../src/weights/tensor-data.ts';
import type { Weight } from '../../../src/weights/weight.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import { scattered } from '../../support/scattered.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = temporaryFolder();
const nothing = () => {};

test.each(['float32', 'float16'] as const)(
  'in %s, every tensor of a checkpoint lies where the model says, as the checkpoint has it',
  async (precision) => {
    const checkpoint = await openCheckpoint('test/fixtures/sd21');
    const [model] = convert(checkpoint, {
      contract: optimumContract,
      attention: 'ORIGINAL',
      sizes: {},
      models: ['text_encoder'],
    });
    if (!model) throw new Error('there is no text encoder');
    const folder = inFolder(precision);
    await writeOnnx(buildOnnxModel(withPrecision(model.graph, precision), {}), folder, nothing);

    const { graph } = decodeModel(readFileSync(join(folder, 'model.onnx')));
    const data = readFileSync(join(folder, 'model.onnx_data'));
    const external = (graph?.initializer ?? []).filter(({ externalData }) => externalData?.length);
    expect(external.map(({ name }) => name).toSorted()).toEqual([...model.component.weights.keys()].sort());
    for (const { name, dims, externalData } of external) {
      const weight = model.component.weights.get(name ?? '');
      const place = Object.fromEntries((externalData ?? []).map(({ key, value }) => [key, value]));
      const [offset, length] = [Number(place.offset), Number(place.length)];
      if (!weight) throw new Error(`${name} is a stranger`);
      const stored = bytesOf(await readTensor(weight, precision === 'float32' ? 'f32' : 'f16'));
      expect(data.subarray(offset, offset + length).equals(stored), `${name} is as stored`).toBe(true);
      // A linear layer that is written as a convolution has two dimensions more.
      expect(dims?.map((dim) => toNumber(dim)).reduce((a, b) => a * b)).toBe(
        weight.shape.reduce((a, b) => a * b),
      );
    }
    await checkpoint.close();
  },
);

test('two runs write the same bytes, and say which', async () => {
  const [first, second] = [inFolder('first'), inFolder('second')];
  const written = await writeOnnx(modelOf(1000, 20), first, nothing);
  expect(await writeOnnx(modelOf(1000, 20), second, nothing)).toEqual(written);
  expect(readdirSync(first)).toEqual(['model.onnx', 'model.onnx_data']);
  for (const { name, byteLength, sha256 } of written) {
    const bytes = readFileSync(join(first, name));
    expect(readFileSync(join(second, name)).equals(bytes)).toBe(true);
    expect(bytes).toHaveLength(byteLength);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
  }
});

test('what is planned is what is written, and every byte of it is counted', async () => {
  const model = modelOf(1000, 20);
  let counted = 0;
  const written = await writeOnnx(model, inFolder('planned'), (bytes) => {
    counted += bytes;
  });
  expect(written.map(({ name, byteLength }) => ({ name, byteLength }))).toEqual(plannedFiles(model));
  for (const { name, byteLength } of written)
    expect(statSync(inFolder('planned', name)).size).toBe(byteLength);
  expect(counted).toBe(written.reduce((sum, { byteLength }) => sum + byteLength, 0));
});

test('gaps between tensors are zeros', async () => {
  await writeOnnx(modelOf(20, 2000), inFolder('gaps'), nothing);
  const data = readFileSync(inFolder('gaps', 'model.onnx_data'));
  expect(data).toHaveLength(4096 + 8000);
  expect(data.subarray(80, 4096).every((byte) => byte === 0)).toBe(true);
});

test('a model without weights has no data file', async () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', { dtype: 'f32', shape: [2] });
  const graph = builder.finish([{ name: 'y', tensor: mul(x, x) }]);
  await writeOnnx(buildOnnxModel(graph, {}), inFolder('bare'), nothing);
  expect(readdirSync(inFolder('bare'))).toEqual(['model.onnx']);
});

test('work that is stopped leaves no file, half or whole', async () => {
  const stopped = writeOnnx(modelOf(1000, 20), inFolder('stopped'), () => {
    throw new Error('stop');
  });
  await expect(stopped).rejects.toThrow('stop');
  expect(readdirSync(inFolder('stopped'))).toEqual([]);
});

test('a weight that gives fewer or more bytes than its header says is noticed', async () => {
  for (const count of [999, 1001]) {
    const wrong: Weight = { ...memoryWeight('first', [count], scattered(count)), shape: [1000] };
    await expect(writeOnnx(modelOf(1000, 20, wrong), inFolder('wrong'), nothing)).rejects.toThrow(
      `first gave ${count * 4} bytes instead of 4000`,
    );
  }
});

/** x [n] · first [n], and y [m] · second [m]. */
function modelOf(n: number, m: number, first: Weight = memoryWeight('first', [n], scattered(n))): OnnxModel {
  const builder = new GraphBuilder();
  const product = (input: string, weight: Weight, count: number) => {
    const type = { dtype: 'f32', shape: [count] } as const;
    return mul(builder.input(input, type), builder.weight(weight, type));
  };
  const outputs = [
    { name: 'a', tensor: product('x', first, n) },
    { name: 'b', tensor: product('y', memoryWeight('second', [m], scattered(m, 1)), m) },
  ];
  return buildOnnxModel(builder.finish(outputs), { model: 'small' });
}
