import { cpSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { encodeModel } from '../../src/formats/onnx/proto.ts';
import { quantizeOnnx } from '../../src/formats/onnx/quantize-onnx.ts';
import { splitOnnx } from '../../src/formats/onnx/split-onnx.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import { describe } from '../../src/inspect/describe.ts';
import type { ModelInspection } from '../../src/inspect/inspection.ts';
import { paletteBits } from '../../src/quantize/palette/palette.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { withPrecision } from '../../src/quantize/precision.ts';
import { elementCount } from '../../src/weights/dtype.ts';
import { smallNetwork, smallNumbers } from '../quantize/small-network.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const fixture = fileURLToPath(new URL('../fixtures/sd21', import.meta.url));

beforeAll(async () => {
  const checkpoint = await openCheckpoint(fixture);
  const [unet] = convert(checkpoint, {
    models: ['unet'],
    contract: optimumContract,
    attention: 'ORIGINAL',
    sizes: {},
  });
  if (!unet) throw new Error('there is no UNet');
  const model = buildOnnxModel(withPrecision(unet.graph, 'float16'), { model: 'unet', precision: 'float16' });
  await writeOnnx(model, at('unet'), () => {});
  for (const [index, chunk] of splitOnnx(model, 8e6).entries())
    await writeOnnx(chunk, at(`unet_chunk${index + 1}`), () => {});
  await checkpoint.close();
});

async function inspectOnnx(path: string): Promise<ModelInspection<'onnx'>> {
  const inspection = await inspect({ path });
  if (inspection.kind !== 'onnx') throw new Error(`it was taken for ${inspection.kind}`);
  return inspection;
}

test('a model that we wrote is described: borders, opset, operations, weights, files, metadata', async () => {
  const found = await inspectOnnx(at('unet'));
  expect(found).toMatchObject({
    network: 'unet',
    chunk: null,
    irVersion: 10,
    opsets: { 'ai.onnx': 21 },
    producer: 'sdconvert',
    inputs: [
      { name: 'sample', dtype: 'float32', shape: ['batch_size', 4, 'height', 'width'] },
      { name: 'timestep', dtype: 'float32', shape: [] },
      { name: 'encoder_hidden_states', dtype: 'float32', shape: ['batch_size', 'sequence_length', 64] },
    ],
    outputs: [{ name: 'out_sample', dtype: 'float32', shape: ['batch_size', 4, 'height', 'width'] }],
    metadata: { model: 'unet', precision: 'float16' },
    problems: [],
    next: { command: `sdconvert validate ${at('unet/model.onnx')} --reference CHECKPOINT` },
  });
  expect(found.operations).toMatchObject({ MatMul: 64, Softmax: 32 }); // 16 blocks with two attentions
  const [halves] = found.weights;
  expect(halves).toMatchObject({ stored: 'float16', bits: 16 });
  expect(halves?.parameters).toBeGreaterThanOrEqual(5_523_876);
  expect(halves?.parameters).toBeLessThan(5_523_876 * 1.001);
  expect(found.files.map(({ name }) => name)).toEqual(['model.onnx', 'model.onnx_data']);
});

test('a chunk says which it is', async () => {
  expect((await inspectOnnx(at('unet_chunk2'))).chunk).toBe('2 of 2');
});

test('a folder of one model, its file and the file under another name are the same', async () => {
  const { path: _, next: __, ...found } = await inspectOnnx(at('unet'));
  cpSync(at('unet'), at('renamed'), { recursive: true });
  expect(await inspectOnnx(at('unet/model.onnx'))).toMatchObject(found);
  expect(await inspectOnnx(at('renamed/model.onnx'))).toMatchObject(found);
});

test('data that is missing or cut short is said, and the model is described all the same', async () => {
  cpSync(at('unet'), at('damaged'), { recursive: true });
  truncateSync(at('damaged/model.onnx_data'), 1_000_000);
  const cut = await inspectOnnx(at('damaged'));
  expect(cut.problems).toEqual([
    expect.stringMatching(/cut short: model.onnx_data has 1000000 bytes, \d+ are needed/),
  ]);
  rmSync(at('damaged/model.onnx_data'));
  const missing = await inspectOnnx(at('damaged'));
  expect(missing.problems).toEqual(['Its weights are missing: there is no model.onnx_data beside it.']);
  expect(missing.inputs).toHaveLength(3);
  expect(missing.next).toEqual({ advice: expect.stringContaining('again') });
});

test('weights outside of the folder are not looked for', async () => {
  for (const location of ['../secret', '/etc/hostname', 'C:\\secret', '']) {
    const external = [{ key: 'location', value: location }];
    writeFileSync(
      at('hostile.onnx'),
      encodeModel({
        irVersion: 10,
        opsetImport: [{ version: 21 }],
        graph: {
          node: [{ opType: 'Conv' }],
          initializer: [{ name: 'w', dims: [1], dataType: 1, dataLocation: 1, externalData: external }],
        },
      }),
    );
    const { problems, files } = await inspectOnnx(at('hostile.onnx'));
    expect(problems).toEqual([expect.stringContaining('outside of its folder')]);
    expect(files).toHaveLength(1);
  }
});

test("another tool's model is described: branches, foreign operators, unknown sizes and types", async () => {
  const branch = { node: [{ opType: 'Add' }, { opType: 'FusedMatMul', domain: 'com.microsoft' }] };
  writeFileSync(
    at('foreign.onnx'),
    encodeModel({
      irVersion: 3,
      producerName: 'pytorch',
      producerVersion: '2.9',
      opsetImport: [
        { domain: '', version: 9 },
        { domain: 'com.microsoft', version: 1 },
      ],
      graph: {
        node: [{ opType: 'If', attribute: [{ name: 'then_branch', type: 5, g: branch }] }],
        initializer: [
          { name: 'w', dataType: 1, dims: [3], rawData: new Uint8Array(12) },
          { name: 'packed', dataType: 22, dims: [8], rawData: new Uint8Array(4) },
        ],
        input: [
          { name: 'w', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 3 }] } } } },
          { name: 'free', type: { tensorType: { elemType: 10, shape: { dim: [{}, { dimValue: 3 }] } } } },
          { name: 'any', type: { tensorType: { elemType: 8 } } },
        ],
      },
    }),
  );
  expect(await inspectOnnx(at('foreign.onnx'))).toMatchObject({
    network: null,
    producer: 'pytorch 2.9',
    opsets: { 'ai.onnx': 9, 'com.microsoft': 1 },
    inputs: [
      { name: 'free', dtype: 'float16', shape: ['?', 3] },
      { name: 'any', dtype: 'string', shape: null },
    ],
    operations: { Add: 1, If: 1, 'com.microsoft.FusedMatMul': 1 },
    weights: [
      { stored: 'float32', parameters: 3 },
      { stored: 'int4', bits: 4, parameters: 8, byteLength: 4 },
    ],
    next: { command: expect.stringContaining('sdconvert run') },
  });
});

test('the text fits on a screen, the largest first, and ends with the next command', async () => {
  for (const folder of ['unet', 'unet_chunk1', 'unet_chunk2']) {
    const lines = describe(await inspectOnnx(at(folder))).split('\n');
    expect(lines.length).toBeLessThanOrEqual(40);
    expect(lines.at(-1)).toMatch(/^Next: sdconvert validate /);
    expect(lines.find((line) => line.includes('operations:'))).toContain('Conv');
  }
});

test('matrices of MatMulNBits, several numbers of which are packed into a byte, are counted as such', async () => {
  const options = {
    bits: 4,
    mode: 'linear-symmetric',
    groupSize: 16,
    weights: ['linear.*'],
    matMulNBits: true,
  } as const;
  const { model, weights } = quantizeOnnx(
    buildOnnxModel(smallNetwork(smallNumbers()), { model: 'small' }),
    planQuantization(options),
  );
  await writeOnnx(model, at('packed'), () => {});
  const found = (await inspectOnnx(at('packed'))).weights.find(({ stored }) => stored === 'uint4');
  const parameters = weights.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  expect(found).toMatchObject({ bits: 4, tensors: 1, parameters, byteLength: parameters / 2 });
});

test.each(paletteBits)('palettes of %d bits are counted as the weights that they stand for', async (bits) => {
  const { model, weights } = quantizeOnnx(
    buildOnnxModel(smallNetwork(smallNumbers()), { model: 'small' }),
    () => ({
      kind: 'palette',
      bits,
    }),
  );
  const folder = at(`palettes-${bits}`);
  await writeOnnx(model, folder, () => {});
  const found = (await inspectOnnx(folder)).weights.find(({ stored }) => stored === `${bits}-bit palette`);
  expect(found).toEqual({
    stored: `${bits}-bit palette`,
    bits,
    tensors: weights.length,
    parameters: weights.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    byteLength: weights.reduce((sum, { bytesAfter }) => sum + bytesAfter, 0),
  });
});
