import { readdirSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { InterruptedError } from '../../src/errors.ts';
import { modelProto, valueInfo } from '../../src/formats/onnx/build-model.ts';
import { onnxNode } from '../../src/formats/onnx/onnx-writer.ts';
import { EXTERNAL, encodeModel } from '../../src/formats/onnx/proto.ts';
import type { TensorMap } from '../../src/formats/runner.ts';
import { openScratch } from '../../src/io/stages/scratch.ts';
import { openChain, openRunnableChain } from '../../src/run/chain.ts';
import { feedsFor } from '../../src/run/feeds.ts';
import { findModels } from '../../src/run/find-models.ts';
import { runInParts } from '../../src/run/run-in-parts.ts';
import { planRun, type RunPlan } from '../../src/run/run-plan.ts';
import { readTensors } from '../../src/weights/read-tensors.ts';
import { bytesOf, pickRows, type TensorData } from '../../src/weights/tensor-data.ts';
import { limitFor } from '../support/limit-for.ts';
import { golden, sdShapes, writeModels } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const coreml = { modelVersion: sdShapes, targets: ['coreml'], models: ['unet'], bundle: false } as const;

beforeAll(async () => {
  await writeModels(at('float32'), { models: ['unet', 'vae_decoder'] });
  await writeModels(at('float16'), { models: ['unet', 'vae_decoder'], precision: 'float16' });
  await writeModels(at('chunks'), { models: ['unet'], precision: 'float16', maxChunkBytes: 6_000_000 });
  await convertCheckpoint({ ...coreml, output: at('coreml') });
  await convertCheckpoint({ ...coreml, output: at('palettes'), quantization: { bits: 6 } });
}, 300_000);

/** The hexadecimal bits of every output of every case, and how it was run. */
async function inParts(
  paths: readonly string[],
  cases: readonly TensorMap[],
  options: {
    readonly largestPart: number;
    readonly roundToFloat16?: boolean;
  },
): Promise<{ plan: RunPlan; bits: string[][]; left: string[] }> {
  const { largestPart, roundToFloat16 = false } = options;
  const scratch = await openScratch(at());
  const chain = await openRunnableChain(paths, { roundToFloat16 });
  try {
    const feeds = cases.map((each) => feedsFor(chain, each));
    const plan = await planRun(chain, feeds, limitFor(largestPart), scratch);
    const outputs = await runInParts(plan, scratch);
    const left = readdirSync(scratch.path).filter((name) => name !== 'executed.onnx');
    return { plan, bits: outputs.map(bitsOf), left };
  } finally {
    await chain.close();
    await scratch.close();
  }
}

async function whole(
  paths: readonly string[],
  cases: readonly TensorMap[],
  roundToFloat16 = false,
): Promise<string[][]> {
  const model = await openChain(paths, { optimize: false, roundToFloat16 });
  try {
    const outputs: string[][] = [];
    for (const each of cases) outputs.push(bitsOf(await model.run(feedsFor(model, each))));
    return outputs;
  } finally {
    await model.close();
  }
}

function bitsOf(outputs: TensorMap): string[] {
  return [...outputs].map(
    ([name, tensor]) => `${name} [${tensor.shape.join()}] ${Buffer.from(bytesOf(tensor)).toString('hex')}`,
  );
}

/** The paths of the only model in a folder. */
async function modelIn(folder: string): Promise<readonly string[]> {
  const [model] = await findModels(at(folder));
  return model?.paths ?? [];
}

const step = async () => [await readTensors(golden('unet.t501'))];
const latents = async () => [await readTensors(golden('vae_decoder'))];

describe('a model in parts gives the bits of the whole, its files gone in the end', () => {
  test.each([
    ['float32/unet', 12e6, step],
    ['float32/unet', 4e6, step],
    ['float16/unet', 24e6, step],
    ['float16/unet', 6e6, step],
    ['float16/vae_decoder', 6e6, latents],
    ['chunks', 8e6, step],
    ['coreml', 24e6, step],
    ['palettes', 24e6, step],
  ])('%s in parts of at most %d bytes', { timeout: 300_000 }, async (folder, largestPart, recorded) => {
    const paths = await modelIn(folder);
    const cases = await recorded();
    const { plan, bits, left } = await inParts(paths, cases, { largestPart });
    expect(plan.rows).toBe(1);
    expect(plan.parts.length).toBeGreaterThan(paths.length);
    for (const { segment } of plan.parts) expect(segment.bytes).toBeLessThanOrEqual(largestPart);
    expect(bits).toEqual(await whole(paths, cases));
    expect(left).toEqual([]);
  });

  test('where float16 is rounded after every operation, too', { timeout: 300_000 }, async () => {
    const paths = await modelIn('coreml');
    const { plan, bits } = await inParts(paths, await step(), { largestPart: 20e6, roundToFloat16: true });
    expect(plan.parts.length).toBeGreaterThan(1);
    expect(bits).toEqual(await whole(paths, await step(), true));
  });

  test('for several cases of inputs', {
    timeout: 300_000,
  }, async () => {
    const paths = await modelIn('float32/unet');
    const cases = [await readTensors(golden('unet.t981')), await readTensors(golden('unet.t21'))];
    const { bits, left } = await inParts(paths, cases, { largestPart: 12e6 });
    expect(bits).toEqual(await whole(paths, cases));
    expect(left).toEqual([]);
  });
});

test('what a plan needs is a limit that it keeps to', { timeout: 300_000 }, async () => {
  const scratch = await openScratch(at());
  const chain = await openRunnableChain(await modelIn('float32/unet'), {});
  try {
    const feeds = (await step()).map((each) => feedsFor(chain, each));
    const tooLittle = 320e6;
    const { bytes } = await planRun(chain, feeds, tooLittle, scratch);
    expect(bytes).toBeGreaterThan(tooLittle);
    const enough = 1.01 * bytes; // other cuts have other values that cross
    const plan = await planRun(chain, feeds, enough, scratch);
    expect(plan.bytes).toBeLessThanOrEqual(enough);
  } finally {
    await chain.close();
    await scratch.close();
  }
});

test('a plan is no longer made once nobody wants it, also where it asks a process', async () => {
  const scratch = await openScratch(at());
  const chain = await openRunnableChain(await modelIn('float32/unet'), {});
  const stop = new AbortController();
  try {
    const feeds = (await step()).map((each) => feedsFor(chain, each));
    const plan = planRun(chain, feeds, 400e6, scratch, stop.signal);
    void setTimeout(50).then(() => stop.abort()); // the process starts
    await expect(plan).rejects.toThrow(InterruptedError);
    await expect(planRun(chain, feeds, 400e6, scratch, stop.signal)).rejects.toThrow(InterruptedError);
  } finally {
    await chain.close();
    await scratch.close();
  }
});

test.each([
  ['an operation alone is larger than all memory', 110e6],
  ['all rows together would take twice the parts', 150e6],
])(
  'where %s, each row gives the bits of that row alone',
  {
    timeout: 300_000,
  },
  async (_, largestPart) => {
    const paths = await modelIn('float32/unet');
    const [recorded = new Map()] = await step();
    // Attention over 32 × 32 latents: 143 MB for two rows, 72 for one.
    const noise = Float32Array.from({ length: 2 * 4 * 32 * 32 }, (_, at) => Math.sin(at * 0.37));
    const both: TensorMap = new Map([
      ...recorded,
      ['sample', { dtype: 'f32', shape: [2, 4, 32, 32], data: noise }],
    ]);
    const { plan, bits } = await inParts(paths, [both], { largestPart });
    expect(plan.rows).toBe(2);
    const alone = (row: number): TensorMap =>
      new Map(
        [...both].map(([name, tensor]) => [name, tensor.shape.length > 1 ? pickRows(tensor, [row]) : tensor]),
      );
    const rows = await whole(paths, [alone(0), alone(1)]);
    const [joined] = bits;
    expect(joined?.[0]?.replace(/^.* /, '')).toBe(
      rows.map(([output]) => output?.replace(/^.* /, '')).join(''),
    );
  },
);

test('an output that a later part reads on is still an output', { timeout: 300_000 }, async () => {
  const SIZE = 1024;
  const names = ['1', '2', '3', '4'];
  const value = (name: string) => valueInfo(name, { dtype: 'f32', shape: [1, SIZE] });
  const graph = {
    name: 'products',
    initializer: names.map((name) => ({
      name: `w${name}`,
      dataType: 1,
      dims: [SIZE, SIZE],
      dataLocation: EXTERNAL,
      externalData: [{ key: 'location', value: `products.w${name}` }],
    })),
    node: names.map((name) => onnxNode('MatMul', [`${Number(name) - 1}`, `w${name}`], name)),
    input: [value('0')],
    output: names.map(value),
  };
  for (const name of names) writeFileSync(at(`products.w${name}`), bytesOf(waves([SIZE, SIZE])));
  writeFileSync(at('products.onnx'), encodeModel(modelProto(graph, {})));
  const cases: TensorMap[] = [new Map([['0', waves([1, SIZE])]])];
  const { plan, bits } = await inParts([at('products.onnx')], cases, { largestPart: 14e6 });
  expect(plan.parts.length).toBeGreaterThan(1);
  expect(bits).toEqual(await whole([at('products.onnx')], cases));
});

test('a model in one part that is too large is run row by row', { timeout: 300_000 }, async () => {
  const scratch = await openScratch(at());
  const chain = await openRunnableChain(await modelIn('float32/vae_decoder'), {});
  const latents = (rows: number): TensorMap[] => [
    feedsFor(chain, new Map([['latent_sample', zeros([rows, 4, 64, 64])]])),
  ];
  try {
    const alone = await planRun(chain, latents(1), 1e9, scratch);
    const { parts, rows, bytes } = await planRun(chain, latents(2), 1.05 * alone.bytes, scratch);
    expect([parts.length, rows]).toEqual([1, 2]);
    expect(bytes).toBe(alone.bytes);
  } finally {
    await chain.close();
    await scratch.close();
  }
});

function waves(shape: readonly [number, number]): TensorData {
  const data = Float32Array.from({ length: shape[0] * shape[1] }, (_, at) => Math.sin(at * 0.37) / 32);
  return { dtype: 'f32', shape, data };
}

function zeros(shape: readonly number[]): TensorData {
  const count = shape.reduce((product, size) => product * size, 1);
  return { dtype: 'f32', shape, data: new Float32Array(count) };
}
