import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { inspect } from '../../../src/commands/inspect.ts';
import { FileFormatError, NotFoundError, UnsupportedModelError } from '../../../src/errors.ts';
import { buildProgram } from '../../../src/formats/coreai/lower/build-program.ts';
import { coreAiModel } from '../../../src/formats/coreai/model.ts';
import { openAsset } from '../../../src/formats/coreai/open-asset.ts';
import type { Operation, Program } from '../../../src/formats/coreai/program.ts';
import { locateArtifact, openArtifact } from '../../../src/formats/open.ts';
import { writeFiles } from '../../../src/formats/write-files.ts';
import { describe } from '../../../src/inspect/describe.ts';
import { planQuantization, type QuantizationOptions } from '../../../src/quantize/plan.ts';
import { openRunner } from '../../../src/run/open-runner.ts';
import { smallNetwork, smallNumbers } from '../../quantize/small-network.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';
import { operation, programOf, tensor, weight } from './small-programs.ts';

const at = temporaryFolder();
let count = 0;
let place = '';
beforeEach(() => {
  place = at(`asset ${++count}`);
});

const name = { network: 'unet', whole: 'unet' } as const;

async function written(program: Program, quantization?: QuantizationOptions): Promise<string> {
  const whole = coreAiModel({ program, metadata: { creatorDefinedMetadata: { model: 'unet' } } }, name);
  const artifact = quantization ? whole.rewritten(planQuantization(quantization)).artifact : whole;
  await writeFiles(place, await artifact.contents(), () => {});
  return place;
}

/** A program of these operations, the last of which gives its output. */
function givingLast(...operations: readonly Operation[]): Program {
  const outputs = operations.at(-1)?.results.map((value) => ({ name: 'y', value })) ?? [];
  return programOf(operations, [], outputs);
}

const w = () => weight('proj.weight', tensor('f32', 2, 2), new Uint8Array(16));

test('an asset is told by its content, whatever its name', async () => {
  await written(givingLast(w()));
  expect(await locateArtifact(place)).toEqual({ format: 'aimodel', path: place });
});

test('inspect tells what an asset takes, gives and computes, and how its weights are stored', async () => {
  await written(buildProgram(smallNetwork(smallNumbers(), 'float32')), { bits: 6 });
  const facts = await inspect({ path: place });
  if (facts.kind !== 'aimodel') throw new Error(`it is ${facts.kind}`);
  expect(facts.network).toBe('unet');
  expect(facts.inputs).toEqual([
    { name: 'x', dtype: 'float32', shape: [1, 4, 6, 6] },
    { name: 'ids', dtype: 'int32', shape: [3] },
  ]);
  expect(facts.outputs.map((output) => output.name)).toEqual(['y', 'looked']);
  expect(facts.operations).toMatchObject({ conv2d: 1, pad: 1, lut_to_dense: 2, gather_nd: 1 });
  expect(facts.operations).not.toHaveProperty('constant');
  expect(facts.weights.map(({ stored, tensors }) => [stored, tensors])).toEqual([
    ['float32', 3],
    ['6-bit palette', 2],
  ]);
  expect(facts).toMatchObject({ stamp: 20260409, functions: ['main'], declared: {} });
});

test('what cannot be an asset is refused in a sentence that names it', async () => {
  expect(await rejectionOf(openAsset(place))).toBeInstanceOf(NotFoundError);
  mkdirSync(place);
  const error = await rejectionOf(openAsset(place));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.message).toContain(`${place} is not a Core AI asset: it has no main.mlirb.`);
});

test.each([
  ['a Git-LFS pointer', 'version https://git-lfs.github.com/spec/v1\n', 'a Git-LFS pointer'],
  ['another file', 'hello', 'it does not begin as one does'],
  ['nothing', '', 'it does not begin as one does'],
])('a program that is %s is refused', async (_, content, words) => {
  mkdirSync(place);
  writeFileSync(join(place, 'main.mlirb'), content);
  const error = await rejectionOf(openAsset(place));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.message).toContain(join(place, 'main.mlirb'));
  expect(error.message).toContain(words);
});

test.each([
  ['{"producer": "x"}', FileFormatError, 'has no assetVersion'],
  ['{"assetVersion": "9.9"}', UnsupportedModelError, 'has the assetVersion "9.9", and Core AI reads "2.0"'],
  ['{', FileFormatError, 'metadata.json'],
  ['[]', FileFormatError, 'does not hold a JSON object'],
])('metadata.json of %s is refused', async (content, type, words) => {
  await written(givingLast(w()));
  writeFileSync(join(place, 'metadata.json'), content);
  const error = await rejectionOf(openAsset(place));
  expect(error).toBeInstanceOf(type);
  expect(error.message).toContain(words);
});

test('metadata.json and main.hash may be missing, as they may for the runtime', async () => {
  await written(givingLast(w()));
  rmSync(join(place, 'metadata.json'));
  rmSync(join(place, 'main.hash'));
  const asset = await openAsset(place);
  await asset.close();
  expect(asset.metadata).toEqual({});
});

/** Changes a program's file. */
async function changed(change: (bytes: Uint8Array) => Uint8Array): Promise<Error> {
  const file = join(await written(givingLast(w())), 'main.mlirb');
  writeFileSync(file, change(new Uint8Array(readFileSync(file))));
  return rejectionOf(openAsset(place));
}

test('a program that is cut short says so, with the bytes that are there', async () => {
  const error = await changed((bytes) => bytes.subarray(0, bytes.length - 20));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.message).toContain('main.mlirb is not a valid Core AI program: it is cut short');
});

test.each([
  ['of the bytecode', (bytes: Uint8Array) => bytes.with(4, 0x0f), 'version 7 of MLIR'],
  // The nested section of the dialect's version: number 7, length 1, version 2.
  [
    'of the encoding',
    (bytes: Uint8Array) => bytes.with(Buffer.from(bytes).indexOf(Buffer.from([0x07, 0x03, 0x05])) + 2, 0x07),
    "version 3 of Core AI's encoding",
  ],
])('another version %s is refused, and named', async (_, change, words) => {
  const error = await changed(change);
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.message).toContain(words);
  expect(error.message).toMatch(/Export the model with the tools of OS 27, or get a newer sdconvert\.$/);
});

test('inspect of a damaged program ends with a sentence, and names no command', async () => {
  await changed((bytes) => bytes.subarray(0, bytes.length - 20));
  expect(
    describe(await inspect({ path: place }))
      .split('\n\n')
      .at(-1),
  ).toMatch(/^It is damaged, incomplete,/);
});

test.each([
  [
    'a weight',
    weight('w', tensor('f32', 2, 2), new Uint8Array(12)),
    'the weight "w" has 12 bytes, and its type says 16 bytes',
  ],
  [
    'a constant',
    operation('primitive.constant_v1', [], [{ type: tensor('i32', 3) }], {
      properties: [{ kind: 'tensor', bytes: new Uint8Array(8), splat: false }],
    }),
    'a constant has 8 bytes, and its type says 12 bytes',
  ],
  [
    'a weight of 2^60 elements',
    weight('w', tensor('u8', 2 ** 30, 2 ** 30), new Uint8Array(8)),
    'its type says no size',
  ],
])('%s whose size is not that of its type is refused', async (_, constant, words) => {
  const error = await rejectionOf(openAsset(await written(givingLast(constant))));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.message).toContain(words);
});

test('an operation that is not known is described, and named where it is to be run', async () => {
  const constant = w();
  const unknown = operation('primitive.resample_v3', constant.results, [{ type: tensor('f32', 2, 2) }]);
  await written(givingLast(constant, unknown));
  const facts = await inspect({ path: place });
  expect(facts).toMatchObject({ operations: { resample: 1 } });
  const error = await rejectionOf(openRunner(place, { optimize: false }));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.message).toContain('the operation primitive.resample_v3 is not supported');
});

test('functions that call each other without end are refused', async () => {
  const call = operation('dataflow.invoke_v1', [], [{ type: tensor('f32', 1) }], {
    properties: [
      { kind: 'array', items: [] },
      { kind: 'parameter', value: { kind: 'symbol', path: ['main'] }, type: { kind: 'symbol' } },
      { kind: 'array', items: [] },
    ],
  });
  await written(givingLast(call));
  const error = await rejectionOf(openRunner(place, { optimize: false }));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.message).toContain('call each other too often');
});

test('what was opened is written again as it was', async () => {
  const first = await written(buildProgram(smallNetwork(smallNumbers())), {
    bits: 4,
    mode: 'linear',
    groupSize: 16,
  });
  const artifact = await openArtifact(first);
  const again = at('again');
  try {
    await writeFiles(again, await (await artifact.open()).contents(), () => {});
  } finally {
    await artifact.close();
  }
  for (const file of ['main.mlirb', 'main.hash', 'metadata.json'])
    expect(Buffer.compare(readFileSync(join(again, file)), readFileSync(join(first, file)))).toBe(0);
});

test('functions that are declared are counted by their calls', async () => {
  const type = tensor('f32', 1);
  const names = Array.from({ length: 30 }, (_, at) => `f${at}`);
  const call = (name: string): Operation =>
    operation('dataflow.invoke_v1', [], [{ type }], {
      properties: [
        { kind: 'array', items: [] },
        { kind: 'parameter', value: { kind: 'symbol', path: [name] }, type: { kind: 'symbol' } },
        { kind: 'array', items: [] },
      ],
    });
  const main = givingLast(...names.map(call));
  const declared = names.map((name) => ({
    name,
    isPublic: false,
    declaration: { name: `d${name}`, inputNames: [], attributes: {}, outputNames: [] },
    inputs: [],
    outputs: [],
    operations: [],
  }));
  await written({ ...main, graphs: [...declared, ...main.graphs] });
  const facts = await inspect({ path: place });
  if (facts.kind !== 'aimodel') throw new Error(`it is ${facts.kind}`);
  expect(Object.values(facts.declared)).toEqual(names.map(() => 1));
});
