import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { type QuantizeRequest, quantizeArtifact } from '../../src/commands/quantize.ts';
import type { Context, ProgressEvent } from '../../src/context.ts';
import {
  FileFormatError,
  InterruptedError,
  NotFoundError,
  OutputExistsError,
  RequestError,
} from '../../src/errors.ts';
import { buildCoreMl } from '../../src/formats/coreml/build/build-model.ts';
import { compileMlPackage } from '../../src/formats/coreml/compiled/compile.ts';
import { writePackage } from '../../src/formats/coreml/package/package.ts';
import { openMlPackage } from '../../src/formats/coreml/package/read-package.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { openOnnx } from '../../src/formats/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import { planQuantization, type QuantizationOptions } from '../../src/quantize/plan.ts';
import { type Numbers, smallNetwork, smallNumbers } from '../quantize/small-network.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const inTemporary = temporaryFolder();
let tests = 0;
const inFolder = (...names: string[]) => inTemporary(String(tests), ...names);
beforeEach(() => {
  tests++;
});

async function writeOnnxFolder(numbers: Numbers = smallNumbers()): Promise<string> {
  const folder = inFolder('unet');
  await writeOnnx(buildOnnxModel(smallNetwork(numbers), { model: 'small' }), folder, () => {});
  writeFileSync(join(folder, 'config.json'), '{}');
  return folder;
}

async function writeMlPackage(): Promise<string> {
  const path = inFolder('unet.mlpackage');
  const description = {
    shortDescription: '',
    author: '',
    license: '',
    version: '',
    features: {},
    userDefined: {},
  };
  await writePackage(
    path,
    buildCoreMl(smallNetwork(smallNumbers()), { target: 'macOS13', description }),
    () => {},
  );
  return path;
}

function quantize(
  artifact: string,
  options: Partial<QuantizationOptions> = {},
  request: Partial<QuantizeRequest> = {},
  context: Context = {},
) {
  return quantizeArtifact(
    {
      artifact,
      plan: planQuantization({ bits: 6, ...options }),
      inPlace: request.output === undefined,
      ...request,
    },
    context,
  );
}

/** The files below a folder with their bytes, by path. */
function contentsOf(folder: string): Map<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name)).sort();
  return new Map(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'hex')]));
}

function bytesIn(folder: string): number {
  return [...contentsOf(folder).values()].reduce((sum, hex) => sum + hex.length / 2, 0);
}

test('an ONNX model is quantised in its place, and what lies beside it stays', async () => {
  const folder = await writeOnnxFolder();
  mkdirSync(join(folder, 'notes'));
  writeFileSync(join(folder, 'notes', 'mine.txt'), 'mine');
  const before = bytesIn(folder);
  const { path, weights, bytesBefore, bytesAfter } = await quantize(join(folder, 'model.onnx'));
  expect(path).toBe(folder);
  expect([...contentsOf(folder).keys()]).toEqual([
    'config.json',
    'model.onnx',
    'model.onnx_data',
    'notes/mine.txt',
  ]);
  expect(readdirSync(inFolder())).toEqual(['unet']);
  expect(bytesBefore - bytesAfter).toBe(before - bytesIn(folder));
  expect(weights.map(({ name, form: { bits } }) => `${name} ${bits}`)).toEqual([
    'conv.weight 6',
    'linear.weight 6',
  ]);
  for (const { squaredError, optimum = 0, decibels } of weights) {
    expect(squaredError).toBeGreaterThanOrEqual(optimum);
    // Cubes of uniform numbers at 6 bits: 31 dB and 32 dB measured.
    expect(decibels).toBeGreaterThan(28);
  }
});

test('with an output the model itself stays as it was', async () => {
  const folder = await writeOnnxFolder();
  const before = contentsOf(folder);
  await quantize(folder, {}, { output: inFolder('small') });
  expect(contentsOf(folder)).toEqual(before);
  expect([...contentsOf(inFolder('small')).keys()]).toEqual(['config.json', 'model.onnx', 'model.onnx_data']);
  const taken = await rejectionOf(quantize(folder, {}, { output: inFolder('small') }));
  expect(taken).toBeInstanceOf(OutputExistsError);
  await quantize(folder, { bits: 4 }, { output: inFolder('small'), force: true });
  const { proto, close } = await openOnnx(inFolder('small', 'model.onnx'));
  expect(proto.graph?.initializer?.find(({ name }) => name === 'conv.weight/indices')?.dims).toHaveLength(1);
  await close();
});

test('a package is quantised in its place, and again gives the same bytes', async () => {
  const path = await writeMlPackage();
  const before = bytesIn(path);
  const { weights, bytesBefore, bytesAfter } = await quantize(path);
  expect(weights).toHaveLength(2);
  expect([bytesBefore, bytesAfter]).toEqual([before, bytesIn(path)]);
  const once = contentsOf(path);
  const events: ProgressEvent[] = [];
  const again = await quantize(path, {}, {}, { onProgress: (event) => events.push(event) });
  expect(again.weights).toEqual([]);
  expect(contentsOf(path)).toEqual(once);
  expect(events.filter(({ type }) => type !== 'stage')).toEqual([
    { type: 'note', message: expect.stringContaining('no weights left to quantise') },
  ]);
});

test('a compiled model becomes a package', async () => {
  const compiled = inFolder('Unet.mlmodelc');
  await compileMlPackage(await writeMlPackage(), compiled);
  const refused = await rejectionOf(quantize(compiled));
  expect(refused).toBeInstanceOf(RequestError);
  expect(refused.advice).toContain('.mlpackage');
  await quantize(compiled, {}, { output: inFolder('small.mlpackage') });
  await (await openMlPackage(inFolder('small.mlpackage'))).close();
  expect(await rejectionOf(quantize(compiled, {}, { output: inFolder('small') }))).toBeInstanceOf(
    RequestError,
  );
});

test('an ONNX file of another name needs an output', async () => {
  const folder = await writeOnnxFolder();
  renameSync(join(folder, 'model.onnx'), join(folder, 'decoder.onnx'));
  const error = await rejectionOf(quantize(join(folder, 'decoder.onnx')));
  expect(error).toBeInstanceOf(RequestError);
  await quantize(join(folder, 'decoder.onnx'), {}, { output: inFolder('small') });
  expect(existsSync(inFolder('small', 'model.onnx'))).toBe(true);
});

test('names that fit no weight are an error, and nothing is written', async () => {
  const folder = await writeOnnxFolder();
  const before = contentsOf(folder);
  const error = await rejectionOf(quantize(folder, { weights: ['mid_block.*'] }));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.problem).toContain('no weight of');
  expect(contentsOf(folder)).toEqual(before);
});

test('a weight that is not finite stops it, and the model stays as it was', async () => {
  const numbers = smallNumbers();
  const broken = new Map(numbers).set('linear.weight', new Float32Array(96 * 64).fill(Number.NaN));
  const folder = await writeOnnxFolder(broken);
  const before = contentsOf(folder);
  expect(await rejectionOf(quantize(folder))).toBeInstanceOf(FileFormatError);
  expect(contentsOf(folder)).toEqual(before);
  expect(readdirSync(inFolder())).toEqual(['unet']);
});

test('work that is interrupted leaves everything as it was', async () => {
  const path = await writeMlPackage();
  const before = contentsOf(path);
  const stop = new AbortController();
  const interrupted = quantize(path, {}, {}, { signal: stop.signal, onProgress: () => stop.abort() });
  expect(await rejectionOf(interrupted)).toBeInstanceOf(InterruptedError);
  expect(contentsOf(path)).toEqual(before);
  expect(readdirSync(inFolder())).toEqual(['unet.mlpackage']);
});

test('what is not there is an error that says so', async () => {
  expect(await rejectionOf(quantize(inFolder('nothing')))).toBeInstanceOf(NotFoundError);
});
