import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseHTML } from 'linkedom';
import { beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { convertWithReport } from '../../src/commands/convert-with-report.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { report } from '../../src/commands/report.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { cardSchema } from '../../src/report/card.ts';
import { repository } from '../support/hub-checkpoint.ts';
import { hubFixture } from '../support/hub-fixture.ts';
import { filesIn, sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const hub = hubFixture();
const at = temporaryFolder();
const timeout = 240_000;

beforeAll(async () => {
  await convertCheckpoint({ modelVersion: sdShapes, output: at('out'), models: ['vae_encoder'] });
}, timeout);

test('a report names the floor at which its verdict turns, and fails there', { timeout }, async () => {
  const request = { folder: at('out'), reference: sdShapes };
  const { card, files } = await report(request);
  expect(card.verdict).toMatchObject({ result: 'pass', floor: 35 });
  const floor = card.verdict.failsAt?.floor ?? Number.NaN;
  expect(card.verdict.failsAt?.command).toBe(
    `sdconvert report out --reference sd-shapes --min-psnr ${floor.toFixed(2)}`,
  );
  const failed = await report({ ...request, minPsnr: floor, output: at('failed') });
  expect(failed.card.verdict.result).toBe('fail');
  const passed = await report({
    ...request,
    minPsnr: Number((floor - 0.01).toFixed(2)),
    output: at('passed'),
  });
  expect(passed.card.verdict.result).toBe('pass');
  const [page = '', twin = '', readme = ''] = files;
  expect(cardSchema.parse(JSON.parse(readFileSync(twin, 'utf8')))).toEqual(card);
  expect(readFileSync(page, 'utf8')).toContain('Pass: ');
  expect(parse(readFileSync(readme, 'utf8').split('---')[1] ?? '')).toMatchObject({ library_name: 'onnx' });
  // The packages ran twice, and no path of the machine is told.
  expect(card.parity?.models.map(({ format, arithmetic }) => `${format} ${arithmetic}`)).toEqual([
    'onnx exact',
    'mlpackage exact',
    'mlmodelc exact',
    'mlpackage rounded',
  ]);
  expect(
    readFileSync(page, 'utf8') + readFileSync(twin, 'utf8') + readFileSync(readme, 'utf8'),
  ).not.toContain(at());
});

test('the command that a card names makes the same bytes again', { timeout }, async () => {
  const { card } = await report({ folder: at('out') });
  expect(card.identity.command).toBe(
    'sdconvert convert --model-version sd-shapes --convert-vae-encoder -o out',
  );
  mkdirSync(at('elsewhere'));
  symlinkSync(sdShapes, at('elsewhere/sd-shapes'));
  const [, ...args] = card.identity.command?.split(' ') ?? [];
  const main = join(import.meta.dirname, '../../cli/main.ts');
  execFileSync(process.execPath, [main, ...args], { cwd: at('elsewhere'), stdio: 'pipe' });
  const record = (folder: string) => readFileSync(at(folder, 'sdconvert.json'), 'utf8');
  expect(record('elsewhere/out')).toBe(record('out'));
});

test('the command that a card names has the variant of the weights', { timeout }, async () => {
  const modelVersion = at('variant');
  cpSync(sdShapes, modelVersion, { recursive: true });
  const weights = at('variant/vae/diffusion_pytorch_model');
  renameSync(`${weights}.safetensors`, `${weights}.fp16.safetensors`);
  const models = ['vae_encoder'] as const;
  await convertCheckpoint({ modelVersion, output: at('of-variant'), models, targets: ['onnx'] });
  const { card } = await report({ folder: at('of-variant') });
  expect(card.identity.command).toBe(
    'sdconvert convert --model-version variant --convert-vae-encoder --target onnx --variant fp16 -o of-variant',
  );
});

test('pictures are drawn with a revision of the Hub', { timeout }, async () => {
  hub.server.repositories.set('org/shapes', repository(filesIn(sdShapes)));
  const models = ['text_encoder', 'unet', 'vae_decoder'] as const;
  await convertCheckpoint({ modelVersion: sdShapes, output: at('drawn'), models, targets: ['onnx'] });
  const { card } = await report({
    folder: at('drawn'),
    reference: 'org/shapes',
    hub: { ...hub.options, revision: 'main' },
    pictures: true,
    steps: 1,
    verdicts: [],
  });
  expect(card.pictures?.swapped.map(({ network }) => network)).toEqual(['all', ...models]);
});

test('without a reference nothing is run, and the card says what is missing and how to get it', async () => {
  const { card } = await report({ folder: at('out') });
  expect(card).toMatchObject({ verdict: { result: 'not judged' }, parity: null, pictures: null });
  expect(card.notChecked.map(({ command }) => command)).toContain(
    'sdconvert report out --reference CHECKPOINT',
  );
});

test('weights with fewer bits are listed with what they lost, the worst first', { timeout }, async () => {
  cpSync(at('out'), at('less'), { recursive: true });
  const artifact = at('less/onnx/vae_encoder');
  const { weights } = await quantizeArtifact({
    artifact,
    plan: planQuantization({ bits: 4 }),
    inPlace: true,
  });
  const { card } = await report({ folder: at('less'), reference: sdShapes, verdicts: [] });
  const [layers] = card.layers;
  expect(layers?.weights).toHaveLength(weights.length);
  const errors = layers?.weights.map(({ decibels }) => Number(decibels)) ?? [];
  expect(errors).toEqual(errors.toSorted((a, b) => a - b));
  // What quantising reported, computed again from the checkpoint, whose weights are those of the model.
  const reported = weights.map(({ decibels }) => decibels ?? 0).sort((a, b) => a - b);
  for (const [index, error] of errors.entries()) expect(error).toBeCloseTo(reported[index] ?? 0, 6);
  expect(layers?.leftOut.map(({ why }) => why.split(':')[0])).toContain('biases and norms');
  expect(card.identity).toMatchObject({ command: null, commandNote: expect.stringContaining('in-place') });
});

test('a checkpoint whose name holds markup shows as text', { timeout }, async () => {
  const name = '<img src=x onerror=alert(1)>';
  cpSync(sdShapes, at(name), { recursive: true });
  await convertCheckpoint({
    modelVersion: at(name),
    output: at('marked'),
    targets: ['onnx'],
    models: ['vae_encoder'],
  });
  const { files } = await report({ folder: at('marked'), reference: at(name), verdicts: [] });
  const { document } = parseHTML(readFileSync(files[0] ?? '', 'utf8'));
  expect(document.querySelector('h1')?.textContent).toBe(name);
  expect(document.querySelectorAll('img')).toHaveLength(0);
});

test('damage fails a report, a model that cannot be read too', { timeout }, async () => {
  cpSync(at('out'), at('damaged'), { recursive: true });
  writeFileSync(at('damaged/onnx/vae_encoder/model.onnx'), 'not a model');
  const { card } = await report({ folder: at('damaged') });
  expect(JSON.stringify(card)).not.toContain(at());
  expect(card.verdict.result).toBe('fail');
  expect(card.lint.map(({ rule }) => rule)).toEqual(expect.arrayContaining(['files-on-record', 'readable']));
});

test('a conversion keeps its verdicts and seconds in its report', { timeout }, async () => {
  const options = {
    modelVersion: sdShapes,
    targets: ['onnx'],
    models: ['vae_encoder'],
    minPsnr: 35,
  } as const;
  const { report: files } = await convertWithReport({ ...options, output: at('reported') });
  const card = cardSchema.parse(JSON.parse(readFileSync(files[1] ?? '', 'utf8')));
  expect(card.verdict.result).toBe('pass');
  expect(card.cost.conversion?.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['write', 'validate']),
  );
});

test('a folder around a conversion, as a batch leaves it, is refused and stays as it is', {
  timeout,
}, async () => {
  mkdirSync(at('batch'));
  symlinkSync(at('out'), at('batch/item'));
  const { problem, advice } = await rejectionOf(report({ folder: at('batch') }));
  expect(problem).toContain('is no conversion, but holds one: item.');
  expect(advice).toContain(at('batch/item'));
  expect(readdirSync(at('batch'))).toEqual(['item']);
});

test('a folder without models, somebody’s README.md and pictures of nothing are refused in a sentence', async () => {
  mkdirSync(at('empty'));
  // A checkpoint has a card of its own: it is not the reason.
  writeFileSync(at('empty/README.md'), '# a checkpoint');
  expect((await rejectionOf(report({ folder: at('empty') }))).problem).toContain('no converted models');
  expect((await rejectionOf(report({ folder: at('out'), pictures: true }))).problem).toContain(
    'there is none',
  );
  const own = at('own');
  mkdirSync(own);
  writeFileSync(join(own, 'README.md'), '# mine');
  const refused = await rejectionOf(report({ folder: at('out'), output: own }));
  expect(refused.problem).toContain('not written by sdconvert');
  expect(readFileSync(join(own, 'README.md'), 'utf8')).toBe('# mine');
  await report({ folder: at('out'), output: own, force: true });
  rmSync(own, { recursive: true });
});

test('a model in a folder of any name is reported on', { timeout }, async () => {
  cpSync(at('out/onnx/vae_encoder'), at('odd/constructor'), { recursive: true });
  const { card } = await report({ folder: at('odd') });
  expect(card.files.map(({ path, files }) => [path, files])).toEqual([['constructor', []]]);
});

test('an analysis of another UNet than the conversion’s is refused', { timeout }, async () => {
  await convertCheckpoint({
    modelVersion: sdShapes,
    output: at('bits'),
    targets: ['onnx'],
    models: ['unet'],
    bundle: false,
  });
  const plan = ({ name }: { name: string }) =>
    name === 'conv_out.weight' ? ({ kind: 'palette', bits: 8 } as const) : undefined;
  await quantizeArtifact({ artifact: at('bits/onnx/unet'), plan, inPlace: true });
  const reported = (weights: Record<string, { readonly elements: number }>) => {
    const told = Object.entries(weights).map(([name, { elements }]) => [
      name,
      { elements, bytes: 2 * elements, errors: { 8: 1e-6 } },
    ]);
    const measured = { model: {}, inputs: ['a'], bits: [8], peak: 1 };
    writeFileSync(at('bits.json'), JSON.stringify({ measured, weights: Object.fromEntries(told) }));
    return report({ folder: at('bits'), output: at('bits-report'), analysis: at('bits.json') });
  };
  const own = { 'conv_in.weight': { elements: 64 * 4 * 9 }, 'conv_out.weight': { elements: 4 * 64 * 9 } };
  expect((await reported(own)).card.curve?.uniform).toHaveLength(1);
  rmSync(at('bits-report'), { recursive: true });
  for (const [weights, found] of [
    [{}, 'no weights'],
    [{ ...own, 'conv_mid.weight': { elements: 9 } }, 'a weight conv_mid.weight of 9 elements'],
    [{ ...own, 'conv_in.weight': { elements: 9 } }, 'a weight conv_in.weight of 9 elements'],
  ] as const) {
    const { problem, details } = await rejectionOf(reported(weights));
    expect(problem).toBe(`${at('bits.json')} is not of this conversion's UNet.`);
    expect(details.found).toContain(found);
  }
  expect(existsSync(at('bits-report'))).toBe(false);
});
