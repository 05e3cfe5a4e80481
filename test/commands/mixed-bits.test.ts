import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { type AnalyzeTarget, analyze } from '../../src/commands/analyze.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import type { InputCase } from '../../src/convert/networks/realistic.ts';
import { denoisingCases } from '../../src/mixed-bits/denoising-cases.ts';
import { outputsOf, psnrOfAll } from '../../src/mixed-bits/whole-model.ts';
import { openRunner } from '../../src/run/open-runner.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/**
 * Mixed bits from end to end, on the trained UNet of models/sd-shapes. All of its weights but three have 8 bits already, so
 * that only these three are measured.
 */
const measured = [
  'conv_out.weight',
  'mid_block.resnets.0.conv1.weight',
  'up_blocks.0.resnets.0.conv1.weight',
];
const at = temporaryFolder();
const prompts = ['a red circle on a white background'];
const unet = (): string => at('out/onnx/unet');
let cases: InputCase[] = [];

beforeAll(async () => {
  const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
  await convertCheckpoint({
    modelVersion,
    output: at('out'),
    targets: ['onnx'],
    models: ['text_encoder', 'unet', 'vae_decoder'],
  });
  const plan = ({ name }: { name: string }) =>
    measured.includes(name) ? undefined : ({ kind: 'linear', bits: 8, symmetric: true } as const);
  await quantizeArtifact({ artifact: unet(), plan, inPlace: true });
  const runner = await openRunner(unet(), { optimize: true });
  cases = await denoisingCases(runner, { folder: at('out/onnx'), prompts }, {});
  await runner.close();
}, 300_000);

/** What a target chooses; its bytes and PSNR are measured once more, on what was written. */
async function choose(name: string, target: AnalyzeTarget) {
  const request = { artifact: unet(), analysis: at('unet.json'), prompts, target, force: false };
  const { chosen } = await analyze({ ...request, output: at(name) });
  if (!chosen) throw new Error('nothing was chosen');
  const recipe: Record<string, number> = JSON.parse(readFileSync(chosen.recipe, 'utf8'));
  const [expected, found] = [
    await outputsOf(unet(), cases, undefined),
    await outputsOf(at(name), cases, undefined),
  ];
  return { told: chosen.point, bytes: bytesOf(at(name)), psnr: psnrOfAll(expected, found), recipe };
}

/** Of the model's files: its config lies beside them. */
function bytesOf(folder: string): number {
  const files = readdirSync(folder).filter((name) => name.startsWith('model.onnx'));
  return files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** The sum of what each weight costs alone, stored with so many bits. */
function lossAt(weights: Record<string, { errors: Record<number, number> }>, bits: number): number {
  return Object.values(weights).reduce((sum, { errors }) => sum + (errors[bits] ?? Number.NaN), 0);
}

test('--target-size: the best mixture under the size is written, as large and as exact as is told', async () => {
  const most = bytesOf(unet()) - 380_000; // 4 bits a weight would save 376,000
  const { told, bytes, psnr, recipe } = await choose('by-size', { bytes: most });
  expect(bytes).toBeLessThanOrEqual(most);
  expect(bytes).toBeGreaterThan(most - 166_000); // the largest step: of 165,888 weights from 16 bits to 8
  expect(told.bytes).toBe(bytes);
  expect(psnr).toBeCloseTo(told.psnr, 1);
  expect(Object.keys(recipe).sort()).toEqual(measured);

  const { weights } = JSON.parse(readFileSync(at('unet.json'), 'utf8'));
  expect(Object.keys(weights).sort()).toEqual(measured);
  // Of a weight alone it may be lost in the rounding: those of the middle hardly matter in pictures so small.
  const lost = ([8, 6, 4, 2, 1] as const).map((bits) => lossAt(weights, bits));
  expect(lost).toEqual(lost.toSorted((a, b) => a - b));
  expect(lost.at(-1)).toBeGreaterThan(100 * (lost[0] ?? Number.NaN));
}, 300_000);

test('--target-psnr: what is written reaches the target, and is smaller than the model was', async () => {
  const { told, bytes, psnr, recipe } = await choose('by-psnr', { psnr: 40 });
  expect(psnr).toBeGreaterThanOrEqual(40);
  expect(psnr).toBeLessThan(60); // no bits are wasted: a step between widths is 6 dB and more
  expect(psnr).toBeCloseTo(told.psnr, 1);
  expect(told.bytes).toBe(bytes);
  expect(bytes).toBeLessThan(bytesOf(unet()));
  expect(Object.keys(recipe).sort()).toEqual(measured);
}, 300_000);
