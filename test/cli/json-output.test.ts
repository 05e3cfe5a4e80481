import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commandNames } from '../../cli/commands.ts';
import { eventSchema, resultSchemas } from '../../scripts/docs/json-schemas.ts';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import { compilePackage } from '../../src/commands/compile.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { download } from '../../src/commands/download.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { report } from '../../src/commands/report.ts';
import { validate } from '../../src/commands/validate.ts';
import { verify } from '../../src/commands/verify.ts';
import { provenanceSchema } from '../../src/formats/provenance.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { repository } from '../support/hub-checkpoint.ts';
import { hubFixture } from '../support/hub-fixture.ts';
import { filesIn, golden, sdShapes } from '../support/sd-shapes.ts';
import { writeSmallLora } from '../support/small-lora.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const hub = hubFixture();
const main = join(import.meta.dirname, '../../cli/main.ts');
type Command = keyof typeof resultSchemas;

/** Runs a command with --json, and holds every line that it prints against its schema; gives the result. */
async function json(command: Command, ...args: readonly string[]): Promise<unknown> {
  const env = { ...process.env, HF_ENDPOINT: hub.options.endpoint, HF_HOME: at('hf') };
  const printed = await new Promise<string>((resolve) => {
    execFile(process.execPath, [main, command, ...args, '--json'], { cwd: at(), env }, (_, stdout) =>
      resolve(stdout),
    );
  });
  let result: unknown;
  for (const line of printed.trim().split('\n')) {
    const parsed: { event: string; result?: unknown } = JSON.parse(line);
    if (parsed.event === 'result') result = resultSchemas[command].parse(parsed.result);
    else eventSchema.parse(parsed);
  }
  return result;
}

/** Holds a function's result, which its command prints as it is, against the command's schema. */
function check(command: Command, result: unknown): unknown {
  return resultSchemas[command].parse(JSON.parse(JSON.stringify(result)));
}

const encoder = 'Stable_Diffusion_version_sd-shapes_vae_encoder.mlpackage';
const timeout = 150_000;

test('every command has a schema, and no other', () => {
  expect(Object.keys(resultSchemas).sort()).toEqual(commandNames.toSorted());
});

test('pictures, measurements and a server print what their schemas say', { timeout: 300_000 }, async () => {
  const models = ['text_encoder', 'unet', 'vae_decoder'] as const;
  await convertCheckpoint({ modelVersion: sdShapes, output: at('drawn'), targets: ['onnx'], models });
  const drawing = [
    '-i',
    'drawn',
    '--num-inference-steps',
    '2',
    '--save-every',
    '1',
    '--grid',
    '-o',
    'pictures',
  ];
  const drawn = await json('generate', 'a red circle', '--image-count', '2', ...drawing);
  expect(drawn).toMatchObject({
    images: expect.arrayContaining([expect.objectContaining({ kind: 'sheet' })]),
  });
  const [picture = ''] = readdirSync(at('pictures'));
  expect(check('inspect', await inspect({ path: at('pictures', picture) }))).toMatchObject({
    kind: 'picture',
  });
  check('verify', await verify({ path: at('drawn'), clients: ['openvino', 'swift'] }));

  // All weights but one have 8 bits, so that one is measured; at 6 bits it would take as much.
  const artifact = at('drawn/onnx/unet');
  const plan = ({ name }: { name: string }) =>
    name === 'conv_out.weight' ? undefined : ({ kind: 'linear', bits: 8, symmetric: true } as const);
  await quantizeArtifact({ artifact, plan, inPlace: true });
  const measuring = ['drawn/onnx/unet', '--analysis', 'unet.json', '--prompt', 'a red circle'];
  const compared = await json('analyze', ...measuring);
  expect(compared).toMatchObject({ reports: expect.arrayContaining([expect.any(String)]) });
  const chosen = await json('analyze', ...measuring, '--target-psnr', '1', '-o', 'small');
  expect(chosen).toMatchObject({ chosen: { written: { path: 'small' } } });

  mkdirSync(at('page'));
  writeFileSync(at('page/index.html'), '<!doctype html>');
  expect(await served('page')).toMatchObject({ folder: 'page' });
});

/** What `serve` prints once it listens; it is ended as by Ctrl-C. */
async function served(folder: string): Promise<unknown> {
  const child = spawn(process.execPath, [main, 'serve', folder, '--port', '0', '--json'], { cwd: at() });
  const [line] = await once(child.stdout, 'data');
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
  return resultSchemas.serve.parse(JSON.parse(String(line)).result);
}

test('conversions, checks and errors print what their schemas say, and nothing else', {
  timeout,
}, async () => {
  hub.server.repositories.set('org/shapes', repository(filesIn(sdShapes)));
  const lora = await writeSmallLora(at('lora.safetensors'));
  const dry = await json('convert', 'org/shapes', '--dry-run', '--check-output-correctness', '--lora', lora);
  expect(dry).toMatchObject({ memory: expect.anything(), downloads: [{ repo: 'org/shapes' }] });
  const options = ['--convert-vae-encoder', '--check-output-correctness', '-o', 'out'];
  expect(await json('convert', sdShapes, ...options)).toMatchObject({
    verdicts: [{ pass: true }, { pass: true }],
  });
  const inputs = golden('vae_encoder');
  const run = await json('run', 'out/onnx/vae_encoder', '--inputs', inputs, '--record', 'record.safetensors');
  expect(run).toMatchObject({ outputs: [{ shape: expect.any(Array) }] });
  expect(await json('inspect', at('nothing'))).toBeUndefined(); // an error is a line, too
});

test('so do the other commands, and what they leave on record', { timeout }, async () => {
  hub.server.repositories.set('org/shapes', repository(filesIn(sdShapes)));
  check('download', await download({ ...hub.options, repo: 'org/shapes' }));
  const lora = await writeSmallLora(at('lora.safetensors'));
  const request = {
    modelVersion: 'org/shapes',
    hub: hub.options,
    targets: ['onnx'],
    output: at('with-lora'),
  } as const;
  await convertCheckpoint({ ...request, models: ['text_encoder'], loras: [{ path: lora, scale: 1 }] });
  provenanceSchema.parse(JSON.parse(readFileSync(at('with-lora/sdconvert.json'), 'utf8')));
  check('verify', await verify({ path: at('with-lora') }));

  const artifact = at('out', encoder);
  const plan = planQuantization({ bits: 4 });
  check(
    'quantize',
    await quantizeArtifact({ artifact: at('out/onnx/vae_encoder'), plan, output: at('less') }),
  );
  check('chunk', { chunks: await chunkArtifact({ artifact, maxChunkBytes: 5e5, output: at('chunks') }) });
  check('compile', await compilePackage({ package: artifact, output: at('compiled.mlmodelc') }));
  const verdicts = await validate({ artifact: at('less'), reference: sdShapes });
  expect(check('validate', { verdicts })).toMatchObject({
    verdicts: [{ outputs: [{ float32Psnr: expect.any(Number) }] }],
  });
  cpSync(artifact, at('packages/vae_encoder.mlpackage'), { recursive: true });
  check('bundle', await bundlePackages({ folder: at('packages') }));
  const card = { folder: at('out'), reference: sdShapes, output: at('card'), verdicts };
  expect(check('report', await report(card))).toMatchObject({ card: { verdict: { result: 'pass' } } });

  const models = ['vae_encoder'] as const;
  await convertCheckpoint({ modelVersion: sdShapes, models, targets: ['coreai'], output: at('assets') });
  const assets = await validate({ artifact: at('assets'), reference: sdShapes });
  expect(check('validate', { verdicts: assets })).toMatchObject({ verdicts: [{ format: 'aimodel' }] });

  writeFileSync(at('note.txt'), 'text');
  for (const [path, kind] of [
    [sdShapes, 'checkpoint'],
    [at('out'), 'artifacts'],
    [lora, 'weights'],
    [at('less'), 'onnx'],
    [artifact, 'mlpackage'],
    [at('compiled.mlmodelc'), 'mlmodelc'],
    [at('assets/CoreAI/VAEEncoder.aimodel'), 'aimodel'],
    [at('assets'), 'artifacts'],
    [at('note.txt'), 'other'],
  ] as const)
    expect(check('inspect', await inspect({ path }))).toMatchObject({ kind });
});
