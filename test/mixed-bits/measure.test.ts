import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { FileFormatError } from '../../src/errors.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { quantizableWeights } from '../../src/formats/onnx/quantize-onnx.ts';
import { openOnnx } from '../../src/formats/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import { psnrOf } from '../../src/mixed-bits/analysis.ts';
import { measure } from '../../src/mixed-bits/measure.ts';
import { planRecipe } from '../../src/mixed-bits/recipe.ts';
import { outputsOf, psnrOfAll } from '../../src/mixed-bits/whole-model.ts';
import { quantizable, smallFeeds, smallNetwork, smallNumbers } from '../quantize/small-network.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const cases = [{ name: 'small', tensors: new Map(Object.entries(smallFeeds)) }];

beforeAll(async () => {
  await writeOnnx(buildOnnxModel(smallNetwork(smallNumbers()), { model: 'small' }), at('model'), () => {});
});

async function analyze(
  path: string,
  signal?: AbortSignal,
  onWeight: (name: string) => void = () => {},
  file = at('model/model.onnx'),
) {
  const model = await openOnnx(file);
  try {
    return await measure(
      { file, model, weights: quantizableWeights(model), cases, bits: [2, 8], analysis: path },
      {
        ...(signal ? { signal } : {}),
        onProgress: (event) => event.type === 'progress' && onWeight(event.what),
      },
    );
  } finally {
    await model.close();
  }
}

test('what a weight costs is what the whole model loses when it alone is written with so few bits', async () => {
  const { weights, measured } = await analyze(at('whole.json'));
  expect([...weights.keys()]).toEqual([...quantizable]);
  const expected = await outputsOf(at('model'), cases, undefined);
  for (const [name, { errors }] of weights) {
    for (const [bits, error] of errors) {
      const plan = planRecipe(new Map([[name, bits]]));
      await quantizeArtifact({ artifact: at('model'), output: at('changed'), plan, force: true });
      const psnr = psnrOfAll(expected, await outputsOf(at('changed'), cases, undefined));
      // Both compute float16 models in float32 here and there, and round differently: measured within 0.03 dB.
      expect(Math.abs(psnr - psnrOf(error, measured.peak)), `${name} ${bits}`).toBeLessThan(0.5);
      expect(psnr).toBeLessThan(80);
    }
  }
});

test('a measurement that was broken off goes on where it ended, and ends as one that was not', async () => {
  const controller = new AbortController();
  const broken = analyze(
    at('broken.json'),
    controller.signal,
    (what) => what.startsWith('conv.weight') && controller.abort(),
  );
  await expect(broken).rejects.toThrow(/interrupted/);
  expect(Object.keys(JSON.parse(readFileSync(at('broken.json'), 'utf8')).weights)).toEqual(['conv.weight']);
  await analyze(at('broken.json'));
  await analyze(at('at-once.json'));
  expect(readFileSync(at('broken.json'), 'utf8')).toBe(readFileSync(at('at-once.json'), 'utf8'));
});

test.each([
  ['numbers that are not finite', 0xff],
  ['nothing but zeros', 0],
])('a model that gives %s is not measured', async (gives, byte) => {
  cpSync(at('model'), at('damaged'), { recursive: true });
  const data = at('damaged/model.onnx_data');
  writeFileSync(data, readFileSync(data).fill(byte));
  const measuring = analyze(at('damaged.json'), undefined, undefined, at('damaged/model.onnx'));
  await expect(measuring).rejects.toThrow(`${at('damaged/model.onnx')} gives ${gives}, of which no loss`);
  await expect(measuring).rejects.toBeInstanceOf(FileFormatError);
  expect(existsSync(at('damaged.json'))).toBe(false);
});

test('an analysis of another model is not taken for this one’s', async () => {
  await analyze(at('other.json'));
  await quantizeArtifact({
    artifact: at('model'),
    output: at('other'),
    plan: planRecipe(new Map([['conv.weight', 8]])),
    force: true,
  });
  const file = at('other/model.onnx');
  const model = await openOnnx(file);
  const request = {
    file,
    model,
    weights: quantizableWeights(model),
    cases,
    bits: [2, 8],
    analysis: at('other.json'),
  } as const;
  await expect(measure(request, {})).rejects.toThrow(/was measured on another model/);
  await model.close();
});

test.each([
  [{ elements: 0 }, '0 elements of'],
  [{ bytes: 2 ** 50 }, `elements of ${2 ** 50} bytes`],
  [{ errors: {} }, 'at no bits'],
  [{ errors: { 3: 0.5, 5: 0 } }, 'at 3, 5 bits'],
])('a measurement that was changed afterwards does not choose bits: %j', async (change, found) => {
  rmSync(at('changed.json'), { force: true });
  await analyze(at('changed.json'));
  const { measured, weights } = JSON.parse(readFileSync(at('changed.json'), 'utf8'));
  const changed = { ...weights, 'conv.weight': { ...weights['conv.weight'], ...change } };
  writeFileSync(at('changed.json'), JSON.stringify({ measured, weights: changed }));
  await expect(analyze(at('changed.json'))).rejects.toThrow(/the weight conv.weight is of another/);
  await expect(analyze(at('changed.json'))).rejects.toThrow(found);
});

test('a measurement of a weight that the model does not have is refused', async () => {
  await analyze(at('more.json'));
  const { measured, weights } = JSON.parse(readFileSync(at('more.json'), 'utf8'));
  writeFileSync(
    at('more.json'),
    JSON.stringify({ measured, weights: { ...weights, x: weights['conv.weight'] } }),
  );
  await expect(analyze(at('more.json'))).rejects.toThrow(/expected +a weight of the model/);
});
