import { expect, test } from 'vitest';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import type { AttentionImplementation } from '../../../src/convert/blocks/attention.ts';
import { appleContract } from '../../../src/convert/contracts/apple.ts';
import { convert } from '../../../src/convert/convert.ts';
import { ChunkBudgetError, UnsupportedModelError } from '../../../src/errors.ts';
import { buildCoreMl } from '../../../src/formats/coreml/build/build-coreml.ts';
import { describeModel } from '../../../src/formats/coreml/build/describe-model.ts';
import { operationValues, programFunctions } from '../../../src/formats/coreml/mil/mil-program.ts';
import {
  encodeModel,
  type Model,
  type Operation,
  type Program,
} from '../../../src/formats/coreml/mil/mil-schema.ts';
import { verifyProgram } from '../../../src/formats/coreml/mil/verify-program.ts';
import { builtSource, openedSource } from '../../../src/formats/coreml/package/copy-weights.ts';
import { type PackageContents, writePackage } from '../../../src/formats/coreml/package/package.ts';
import { openMlPackage } from '../../../src/formats/coreml/package/read-package.ts';
import { writeWeightFile } from '../../../src/formats/coreml/package/weight-file.ts';
import { chunkCountNote, splitMil } from '../../../src/formats/coreml/split-mil.ts';
import type { RunnerOptions } from '../../../src/formats/runner.ts';
import { withPrecision } from '../../../src/quantize/precision.ts';
import { openChain } from '../../../src/run/chain.ts';
import { psnr } from '../../../src/validate/psnr.ts';
import { expectedOf, type Golden, readGoldens } from '../../support/goldens.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { thrownBy } from '../../support/thrown-by.ts';
import { type LayeredOptions, layeredModel } from '../onnx/layered-model.ts';

const inFolder = temporaryFolder();

function chunksOf(options: LayeredOptions = {}, maxBytes = 1e9): PackageContents[] {
  return splitMil(builtSource('the model', layeredModel(options)), maxBytes);
}

function programOf({ model }: PackageContents): Program {
  if (!model.mlProgram) throw new Error('there is no program');
  return model.mlProgram;
}

function mainOf(contents: PackageContents) {
  const [main] = programFunctions(programOf(contents));
  if (!main) throw new Error('there is no function');
  return main;
}

/** What a chunk says it takes and gives, in its program; its description has to say the same. */
function borders(contents: PackageContents) {
  const main = mainOf(contents);
  const inputs = main.function.inputs.map(({ name }) => name);
  const { outputs } = main.block;
  const { description } = contents.model;
  expect(description?.input.map(({ name }) => name)).toEqual(inputs);
  expect(description?.output.map(({ name }) => name)).toEqual(outputs);
  return { inputs, outputs };
}

function operationsOf(contents: PackageContents): readonly Operation[] {
  return mainOf(contents).block.operations;
}

const typesOf = (contents: PackageContents) =>
  operationsOf(contents).map(({ type, outputs }) => `${outputs[0]?.name} = ${type}`);

test('what crosses is float32, is cast back at once, and has the same names in the same order on both sides', () => {
  const [first, second] = chunksOf() as [PackageContents, PackageContents];
  expect(borders(first)).toEqual({ inputs: ['x'], outputs: ['h1_float32', 'h2_float32'] });
  expect(borders(second)).toEqual({ inputs: ['text', 'h1_float32', 'h2_float32'], outputs: ['y'] });
  const array = { shape: [2, 16], dataType: 65568 }; // FLOAT32 of FeatureTypes.proto
  for (const { multiArrayType } of (first.model.description?.output ?? []).flatMap(
    ({ type }) => type ?? [],
  )) {
    expect(multiArrayType).toEqual(array);
  }
  expect(second.model.description?.input.slice(1)).toEqual(first.model.description?.output);
  expect(typesOf(first).slice(-3)).toEqual(['dtype = const', 'h1_float32 = cast', 'h2_float32 = cast']);
  expect(typesOf(second).slice(0, 3)).toEqual(['dtype = const', 'h1 = cast', 'h2 = cast']);
});

test('a chunk has the operations of its part with their constants, and no input that it does not read', () => {
  const [first, second] = chunksOf() as [PackageContents, PackageContents];
  expect(typesOf(first).slice(0, -3)).toEqual([
    'bias = const',
    'w1 = const',
    'h1 = linear',
    'w2 = constexpr_lut_to_dense',
    'h2 = linear',
  ]);
  expect(typesOf(second).slice(3)).toEqual([
    // Laid out anew from the input, rather than carried across.
    'perm = const',
    'laid_out = transpose',
    'bias = const',
    'w3 = const',
    'h3 = linear',
    'skip = add',
    'w4 = constexpr_lut_to_dense',
    'h4 = linear',
    'mixed = add',
    'to_fp32 = const',
    'y = cast',
  ]);
});

test('metadata, descriptions of inputs and outputs, and the specification version are kept', () => {
  for (const specificationVersion of [7, 9] as const) {
    const { model } = layeredModel({ specificationVersion });
    const chunks = chunksOf({ specificationVersion });
    for (const chunk of chunks) {
      expect(chunk.model.specificationVersion).toBe(specificationVersion);
      expect(chunk.model.description?.metadata).toEqual(model.description?.metadata);
      verifyProgram(programOf(chunk), 'chunk');
    }
    const [x, , text] = model.description?.input ?? [];
    expect(chunks[0]?.model.description?.input).toEqual([x]);
    expect(chunks[1]?.model.description?.input[0]).toEqual(text);
    expect(chunks[1]?.model.description?.output).toEqual(model.description?.output);
  }
});

test.each([7, 9] as const)(
  'weights are copied as they are (specification %d): each blob has the bytes it had, palettes and packed indices too',
  async (specificationVersion) => {
    const whole = await blobsOf(layeredModel({ specificationVersion }));
    const copied = await Promise.all(chunksOf({ specificationVersion }).map(blobsOf));
    expect(new Set(copied.flatMap((blobs) => [...blobs.keys()]))).toEqual(new Set(whole.keys()));
    for (const [name, bytes] of copied.flatMap((blobs) => [...blobs]))
      expect(bytes, name).toEqual(whole.get(name));
    // The bias that all layers share is in both files, once each.
    expect(copied.map((blobs) => [...blobs.keys()])).toEqual([
      ['bias.val', 'w1.val', 'w2.indices', 'w2.lut'],
      ['bias.val', 'w3.val', 'w4.indices', 'w4.lut'],
    ]);
    expect(chunksOf({ specificationVersion }).map(({ weights }) => weights.placed.length)).toEqual([4, 4]);
  },
);

/** The bytes of each blob in a weight file as it is written, by what refers to it. */
async function blobsOf(contents: PackageContents): Promise<Map<string, string>> {
  const file = new Uint8Array(contents.weights.byteLength);
  await writeWeightFile(
    contents.weights,
    async (bytes, offset) => file.set(bytes, offset),
    () => {},
  );
  const view = new DataView(file.buffer);
  const blobs = new Map<string, string>();
  for (const operation of operationsOf(contents)) {
    for (const [parameter, { blobFileValue }] of operationValues(operation)) {
      if (!blobFileValue) continue;
      const start = Number(view.getBigUint64(blobFileValue.offset + 16, true));
      const end = start + Number(view.getBigUint64(blobFileValue.offset + 8, true));
      const bytes = Buffer.from(file.subarray(start, end)).toString('hex');
      blobs.set(`${operation.outputs[0]?.name}.${parameter}`, bytes);
    }
  }
  return blobs;
}

test('no weight is read to cut a model, and the same model gives the same chunks', () => {
  const model = layeredModel();
  const unreadable = { ...builtSource('the model', model), blobOf: unreadableBlobs(model) };
  const encoded = splitMil(unreadable, 1e9).map((chunk) => encodeModel(chunk.model));
  expect(chunksOf().map((chunk) => encodeModel(chunk.model))).toEqual(encoded);
});

function unreadableBlobs(model: PackageContents) {
  const { blobOf } = builtSource('the model', model);
  return (...reference: Parameters<typeof blobOf>) => ({
    ...blobOf(...reference),
    stream(): never {
      throw new Error('a weight was read');
    },
  });
}

test('a name that is taken is not given again: both sides take the next', () => {
  const first =
    'tensor<fp16, [2, 16]> h2_float32 = add(x = x, y = x); tensor<fp16, [2, 16]> dtype = add(x = h2_float32, y = h2_float32);';
  const [head, tail] = chunksOf({ first }) as [PackageContents, PackageContents];
  expect(borders(head).outputs).toEqual(['h1_float32', 'h2_float32_1']);
  expect(borders(tail).inputs).toEqual(['text', 'h1_float32', 'h2_float32_1']);
  for (const chunk of [head, tail]) verifyProgram(programOf(chunk), 'chunk');
});

test('float32 crosses as it is, and an output that a later chunk reads is given once', () => {
  const first =
    'tensor<string, []> wide = const()[val = tensor<string, []>("fp32")]; tensor<fp16, [2, 16]> doubled = add(x = x, y = x); tensor<fp32, [2, 16]> early = cast(dtype = wide, x = doubled);';
  const change: LayeredOptions['change'] = (model) => ({
    ...model,
    description: model.description && {
      ...model.description,
      output: [
        ...model.description.output,
        ...model.description.output.map((each) => ({ ...each, name: 'early' })),
      ],
    },
  });
  const [head, tail] = chunksOf({ first, moreOutputs: ', early', change }) as [
    PackageContents,
    PackageContents,
  ];
  expect(borders(head).outputs).toEqual(['h1_float32', 'h2_float32', 'early']);
  expect(borders(tail)).toEqual({ inputs: ['text', 'h1_float32', 'h2_float32'], outputs: ['y'] });
});

test('two chunks wherever two fit; more only for a budget that needs them, and then there is something to say', () => {
  expect(chunksOf({}, 1300)).toHaveLength(2);
  const four = chunksOf({}, 1000);
  expect(four).toHaveLength(4);
  for (const { weights } of four) expect(weights.byteLength).toBeLessThanOrEqual(64 + 1000);
  expect(chunkCountNote(2, 1e9)).toBeUndefined();
  expect(chunkCountNote(3, 1e9)).toBe(
    "two chunks cannot each stay under 1.00 GB, so there are 3; Apple's Swift package and the apps built on it load exactly two.",
  );
  expect(thrownBy(() => chunksOf({}, 100))).toBeInstanceOf(ChunkBudgetError);
});

test('models that cannot be cut are refused, with the reason', () => {
  const refusal = (change: (model: Model) => Model) => {
    const error = thrownBy(() => chunksOf({ change }));
    expect(error).toBeInstanceOf(UnsupportedModelError);
    return error.problem;
  };
  const twice = refusal((model) => changeFunctions(model, ({ main }) => (main ? { main, other: main } : {})));
  expect(twice).toBe('the model cannot be cut into chunks: it has several functions.');
  const remembering = refusal((model) => ({
    ...model,
    description: model.description && { ...model.description, state: model.description.input.slice(0, 1) },
  }));
  expect(remembering).toBe('the model cannot be cut into chunks: it keeps a state between its runs.');
  const dimensions = [{ constant: { size: 2 } }, { unknown: { variadic: false } }];
  const type = { tensorType: { dataType: 10, rank: 2, dimensions, attributes: {} } };
  const flexible = refusal((model) =>
    changeFunctions(model, ({ main }) => (main ? { main: { ...main, inputs: [{ name: 'x', type }] } } : {})),
  );
  expect(flexible).toBe('the model cannot be cut into chunks: its input x has no fixed shape.');
});

function changeFunctions(
  model: Model,
  change: (functions: Program['functions']) => Program['functions'],
): Model {
  if (!model.mlProgram) throw new Error('there is no program');
  return { ...model, mlProgram: { ...model.mlProgram, functions: change(model.mlProgram.functions) } };
}

// Float32 arithmetic on the same weights as diffusers': measured 125 dB; with float16 rounding 65 dB.
test.each([
  ['ORIGINAL', 'float32', 110],
  ['SPLIT_EINSUM', 'float16', 55],
] as const)(
  "a UNet (%s) in chunks gives what the whole gives in %s arithmetic, bit for bit, which is diffusers' answer",
  async (attention, arithmetic, leastPsnr) => {
    const path = (name: string) => inFolder(attention, `${name}.mlpackage`);
    const contents = await writeUNet(attention, path('whole'));
    // As an existing package is cut, which is how a conversion cuts it before it is written.
    const opened = await openMlPackage(path('whole'));
    const cut = splitMil(openedSource(opened), 1e9);
    const built = splitMil(builtSource('the UNet', contents), 1e9);
    expect(cut.map(({ model }) => encodeModel(model))).toEqual(built.map(({ model }) => encodeModel(model)));
    for (const [index, chunk] of cut.entries())
      await writePackage(path(`chunk${index + 1}`), chunk, () => {});
    await opened.close();

    const [golden] = await readGoldens('test/goldens/sd15-wide', 'unet');
    if (!golden) throw new Error('nothing is recorded');
    const options = { optimize: false, roundToFloat16: arithmetic === 'float16' };
    const whole = await noisePrediction([path('whole')], golden, options);
    const chain = await noisePrediction([path('chunk1'), path('chunk2')], golden, options);
    expect(chain).toEqual(whole);
    expect(psnr(expectedOf(golden, 'noise_pred', '_w16'), chain)).toBeGreaterThan(leastPsnr);
  },
);

async function writeUNet(attention: AttentionImplementation, path: string): Promise<PackageContents> {
  const checkpoint = await openCheckpoint('test/fixtures/sd15-wide-f16');
  try {
    const [model] = convert(checkpoint, { contract: appleContract, attention, sizes: {}, models: ['unet'] });
    if (!model) throw new Error('nothing was converted');
    const graph = withPrecision(model.graph, 'float16');
    const { read } = buildCoreMl(graph, {
      target: 'macOS13',
      description: describeModel('unet', 'wide', { license: 'OpenRAIL' }),
    });
    const contents = await read();
    await writePackage(path, contents, () => {});
    return contents;
  } finally {
    await checkpoint.close();
  }
}

async function noisePrediction(
  paths: readonly string[],
  { tensors }: Golden,
  options: RunnerOptions,
): Promise<Float32Array> {
  const model = await openChain(paths, options);
  try {
    const wanted = new Set(model.inputs.map(({ name }) => name));
    const outputs = await model.run(new Map(Object.entries(tensors).filter(([name]) => wanted.has(name))));
    const { data } = outputs.get('noise_pred') ?? {};
    if (!(data instanceof Float32Array)) throw new Error('there is no noise_pred');
    return data;
  } finally {
    await model.close();
  }
}
