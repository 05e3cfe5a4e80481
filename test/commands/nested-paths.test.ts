import { createHash } from 'node:crypto';
import { cpSync, existsSync, lstatSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import { compilePackage } from '../../src/commands/compile.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { verify } from '../../src/commands/verify.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { filesIn, sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();
const PACKAGE = 'Stable_Diffusion_version_sd-shapes_unet.mlpackage';
const plan = planQuantization({ bits: 8 });

beforeAll(async () => {
  await convertCheckpoint({ modelVersion: sdShapes, output: at('out'), models: ['unet'] });
});

/** A folder of its own with copies of the converted UNet; gives paths in it. */
function copies(name: string): (...path: readonly string[]) => string {
  const here = (...path: readonly string[]) => at(name, ...path);
  mkdirSync(here());
  cpSync(at('out/onnx/unet'), here('unet'), { recursive: true });
  cpSync(at('out', PACKAGE), here('unet.mlpackage'), { recursive: true });
  return here;
}

/** Requires that work is refused with a sentence, and changes nothing in a folder. */
async function refused(folder: string, work: () => Promise<unknown>, sentence: RegExp): Promise<void> {
  const before = hashesIn(folder);
  expect((await rejectionOf(work())).problem).toMatch(sentence);
  expect(hashesIn(folder)).toEqual(before);
}

function hashesIn(folder: string): (readonly [string, string])[] {
  const files = Object.entries(filesIn(folder));
  return files.map(([name, bytes]) => [name, createHash('sha256').update(bytes).digest('hex')]);
}

test('no result takes the place of its source, by links neither', async () => {
  const here = copies('itself');
  symlinkSync('unet', here('link'));
  symlinkSync('itself', at('other way'));
  const quantize = (from: string, to: string) => () =>
    quantizeArtifact({ artifact: at(from), output: at(to), plan, force: true });
  for (const [from, to] of [
    ['itself/unet', 'itself/link'],
    ['itself/link', 'itself/unet'],
    ['itself/unet', 'other way/unet'],
    ['other way/unet.mlpackage', 'itself/unet.mlpackage'],
  ] as const)
    await refused(here(), quantize(from, to), /^--output .* is the model itself\.$/);
});

test('no result replaces a folder that its source is in', async () => {
  const here = copies('within');
  cpSync(here('unet'), here('big'), { recursive: true });
  renameSync(here('unet'), here('big/small'));
  mkdirSync(here('x.mlmodelc'));
  renameSync(here('unet.mlpackage'), here('x.mlmodelc/unet.mlpackage'));
  const quantize = () =>
    quantizeArtifact({ artifact: here('big/small'), output: here('big'), plan, force: true });
  await refused(here(), quantize, /big holds the model itself, which would be gone\.$/);
  const compile = () =>
    compilePackage({ package: here('x.mlmodelc/unet.mlpackage'), output: here('x.mlmodelc'), force: true });
  await refused(here(), compile, /x\.mlmodelc holds the model itself, which would be gone\.$/);
});

test('nothing is written into a package, nor removed with the model that it was made of', async () => {
  const here = copies('inside');
  const inPackage = here('unet.mlpackage', 'more.mlmodelc');
  const compile = () => compilePackage({ package: here('unet.mlpackage'), output: inPackage });
  await refused(here(), compile, /more\.mlmodelc is in the model itself\.$/);
  const chunk = (model: string) => () =>
    chunkArtifact({ artifact: here(model), output: here(model), maxChunkBytes: 8e6, removeOriginal: true });
  await refused(
    here(),
    chunk('unet'),
    /unet_chunk1 is in the folder of the model, and would be removed with it\.$/,
  );
  await refused(here(), chunk('unet.mlpackage'), /unet_chunk1\.mlpackage is in the model itself\.$/);
});

test('what somebody keeps beside a model.onnx is not removed with it', async () => {
  const here = copies('beside');
  writeFileSync(here('unet/thesis.txt'), 'years of work');
  const chunk = () =>
    chunkArtifact({ artifact: here('unet'), output: here('cut'), maxChunkBytes: 8e6, removeOriginal: true });
  await refused(
    here(),
    chunk,
    /unet holds something else than the model, and --remove-original would remove it\.$/,
  );
});

test('--in-place by a link replaces the model, and not the link', async () => {
  const here = copies('linked');
  for (const model of ['unet', 'unet.mlpackage']) {
    symlinkSync(model, here(`link to ${model}`));
    const { path, bytesAfter } = await quantizeArtifact({
      artifact: here(`link to ${model}`),
      inPlace: true,
      plan,
    });
    expect(basename(path)).toBe(model);
    expect(lstatSync(here(`link to ${model}`)).isSymbolicLink()).toBe(true);
    const bytes = Object.values(filesIn(here(model))).reduce((sum, { length }) => sum + length, 0);
    expect(Math.abs(bytes - bytesAfter)).toBeLessThan(5000); // config.json, Manifest.json
  }
});

test('--in-place in a conversion whose folder is a link to another disk is on record', async () => {
  cpSync(at('out'), at('spread'), { recursive: true });
  renameSync(at('spread/onnx'), at('other disk'));
  symlinkSync('../other disk', at('spread/onnx'));
  for (const artifact of [at('spread/onnx/unet'), at('spread/onnx/unet/model.onnx')]) {
    await quantizeArtifact({ artifact, inPlace: true, plan });
    expect((await verify({ path: at('spread') })).problems).toEqual([]);
  }
  expect(lstatSync(at('spread/onnx')).isSymbolicLink()).toBe(true);
});

test('models in a folder that is called as a client’s are not replaced by the client’s', async () => {
  await convertCheckpoint({ modelVersion: sdShapes, output: at('whole'), targets: ['onnx'] });
  cpSync(at('whole/onnx'), at('mine/onnx-openvino'), { recursive: true });
  const bundle = () =>
    bundlePackages({ folder: at('mine/onnx-openvino'), output: at('mine'), clients: ['openvino'] });
  await refused(at('mine'), bundle, /is the model itself, and that of the client would take its place\.$/);
});

test('a conversion is bundled by a link to it', async () => {
  symlinkSync('out', at('link to out'));
  const { folder } = await bundlePackages({ folder: at('out'), output: at('link to out') });
  expect(existsSync(folder)).toBe(true);
});

test('a checkpoint in the folder that its conversion would write is not replaced', async () => {
  cpSync(sdShapes, at('taken/onnx'), { recursive: true });
  const convert = () =>
    convertCheckpoint({
      modelVersion: at('taken/onnx'),
      output: at('taken'),
      targets: ['onnx'],
      force: true,
    });
  await refused(
    at('taken'),
    convert,
    /onnx holds the checkpoint to convert, and the conversion would be written there\.$/,
  );
});
