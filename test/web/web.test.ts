import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import page from '../../rolldown.page.config.ts';
import { resultSchemas } from '../../scripts/docs/json-schemas.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { web } from '../../src/commands/web.ts';
import { ConfigError, FileFormatError } from '../../src/errors.ts';
import { type OnnxModel, relocated } from '../../src/formats/onnx/build-model.ts';
import { layOutTensors, MAX_DATA_FILE_BYTES, placements } from '../../src/formats/onnx/external-data.ts';
import { openOnnx } from '../../src/formats/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { openRunner } from '../../src/run/open-runner.ts';
import { findOnnxruntimeWeb, ORT_WEB_VERSION, ortFiles } from '../../src/web/find-onnxruntime-web.ts';
import { memoryNeed } from '../../src/web/memory-need.ts';
import { placeModel } from '../../src/web/place-models.ts';
import { planWeb } from '../../src/web/plan-web.ts';
import { servedFile } from '../../src/web/served-file.ts';
import type { WebPlan } from '../../src/web/web-plan.ts';
import { writeWeb } from '../../src/web/write-web.ts';
import { convertDrawingCheckpoint } from '../support/drawing-checkpoints.ts';
import { sdShapes, writeModels } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

// A clone has the page's own files only once it is built.
vi.mock(import('../../src/web/page-files.ts'), async (original) => ({
  ...(await original()),
  pageFiles: async () => [],
}));

const temporary = temporaryFolder();
let models: string;

beforeAll(async () => {
  models = await writeModels(temporary('models'), {
    models: ['text_encoder', 'unet', 'vae_decoder'],
    precision: 'float16',
  });
});

describe('the folder of a page', () => {
  let plan: WebPlan;
  beforeAll(async () => {
    mkdirSync(temporary('own'));
    writeFileSync(temporary('own/index.html'), '<!doctype html>');
    const contents = {
      ...(await planWeb(models, {})),
      page: [temporary('own/index.html')],
      onnxruntime: await findOnnxruntimeWeb([import.meta.url]),
      demo: undefined,
      requireUnchanged: async () => {},
    };
    await writeWeb(temporary('web'), contents, {});
    plan = JSON.parse(readFileSync(temporary('web/plan.json'), 'utf8'));
  });

  test('holds the page, onnxruntime-web and the models, which take no room again', () => {
    expect(readdirSync(temporary('web')).sort()).toEqual(['index.html', 'models', 'ort', 'plan.json']);
    expect(readdirSync(temporary('web/ort')).sort()).toEqual([...ortFiles].sort());
    const [own, placed] = [
      join(models, 'unet/model.onnx_data'),
      temporary('web/models/unet/model.onnx_data'),
    ];
    expect(statSync(placed).ino).toBe(statSync(own).ino);
  });

  test('says what the page needs to know before it loads a model', () => {
    expect(plan).toMatchObject({
      unet: { family: 'sd1', size: [8, 8], multiple: 8 },
      latents: { channels: 4, pixels: 8 },
      models: { unet: { isFloat16: true, data: [{ name: 'model.onnx_data' }] } },
    });
    expect(plan.schedulers[0]).toBe('pndm');
    expect(plan.schedulers).toContain('euler_a');
    expect(plan.schedulers).not.toContain('flow_euler');
  });
});

describe('a page that could never draw is not made', () => {
  const onnx = () => temporary('odd/onnx');
  beforeAll(() => {
    cpSync(models, onnx(), { recursive: true });
    for (const folder of ['scheduler', 'tokenizer'])
      cpSync(join(sdShapes, folder), join(onnx(), folder), { recursive: true });
  });

  test.each([
    [
      'scheduler/scheduler_config.json',
      '{"_class_name": "PNDMScheduler", "num_train_timesteps": 1e12}',
      ConfigError,
    ],
    ['scheduler/scheduler_config.json', '{"_class_name": "NewScheduler"}', ConfigError],
    ['tokenizer/merges.txt', 'none\n', FileFormatError],
  ])('%s: %s', async (name, text, kind) => {
    const path = join(onnx(), name);
    const own = readFileSync(path);
    writeFileSync(path, text);
    await expect(planWeb(temporary('odd'), {})).rejects.toThrow(kind);
    writeFileSync(path, own);
    await planWeb(temporary('odd'), {});
  });
});

test('a name that turns text round does not turn that of the page', async () => {
  const folder = temporary('gpj.\u202etset');
  symlinkSync(models, folder);
  expect((await planWeb(folder, {})).title).toBe('gpj.\\u202etset');
});

test('a refiner alone draws from no prompt', async () => {
  const out = await convertDrawingCheckpoint(temporary('drawn'), 'refiner', { target: 'onnx' });
  expect((await rejectionOf(planWeb(out, {}))).problem).toContain('there is only a refiner');
});

test('files that are too large for a browser are written as several, which compute the same', async () => {
  const path = join(models, 'vae_decoder/model.onnx');
  const maxFileBytes = 300_000;
  const placing = { folder: temporary('parts'), onBytes: () => {}, maxFileBytes };
  const placed = await placeModel({ name: 'vae_decoder', path, isFloat16: true }, placing);
  expect(placed.data.length).toBeGreaterThan(3);
  expect(Math.max(...placed.data.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(maxFileBytes);
  const data = Float32Array.from({ length: 4 * 64 }, (_, i) => Math.sin(i));
  const feeds = new Map([['latent_sample', { dtype: 'f32', shape: [1, 4, 8, 8], data } as const]]);
  const outputs = [];
  for (const each of [path, temporary('parts/models/vae_decoder/model.onnx')]) {
    const runner = await openRunner(each, { optimize: false });
    outputs.push(await runner.run(feeds));
    await runner.close();
  }
  expect(outputs[1]).toEqual(outputs[0]);
});

test.each(['.hidden_data', 'weights/.data', '..data', 'C:data'])(
  'weights called %j get a name that web servers hand out',
  async (location) => {
    const source = await openOnnx(join(models, 'vae_decoder/model.onnx'));
    const from = temporary(`called ${location.replaceAll(/\W/g, '_')}`);
    mkdirSync(join(from, 'weights'), { recursive: true });
    await writeOnnx(withDataIn(location, source), from, () => {});
    await source.close();
    const folder = `${from} page`;
    const placing = { folder, onBytes: () => {} };
    const path = join(from, 'model.onnx');
    const { data } = await placeModel({ name: 'vae_decoder', path, isFloat16: true }, placing);
    expect(data).toMatchObject([{ name: location, path: 'models/vae_decoder/file_0' }]);
    expect(await servedFile(folder, `/${data[0]?.path}`)).toMatchObject({ kind: 'file' });
  },
);

/** The same model with its weights in a file of another name. */
function withDataIn(location: string, { proto, dataFiles }: OnnxModel): OnnxModel {
  const tensors = dataFiles.flatMap((file) => file.tensors.map(({ tensor }) => tensor));
  const files = layOutTensors(tensors, location, MAX_DATA_FILE_BYTES);
  const places = placements(files);
  const initializer = (proto.graph?.initializer ?? []).map((tensor) => relocated(tensor, places));
  return { dataFiles: files, proto: { ...proto, graph: { ...proto.graph, initializer } } };
}

test('one weight that is too large for a browser is named, with what to do', async () => {
  const path = join(models, 'vae_decoder/model.onnx');
  const placing = { folder: temporary('none'), onBytes: () => {}, maxFileBytes: 1000 };
  const error = await rejectionOf(placeModel({ name: 'vae_decoder', path, isFloat16: true }, placing));
  expect(error.problem).toContain('too large for a browser');
  expect(error.advice).toContain('quantize');
});

test('WASM needs room for float32, a graphics processor for the weights as they are', () => {
  const unet = { stored: 1.72e9, asFloat32: 3.44e9 };
  expect(memoryNeed([{ stored: 1e8, asFloat32: 2e8 }, unet])).toEqual({ wasm: 5.46e9, webGpu: 3.74e9 });
});

test('a missing or another onnxruntime-web is one sentence with the command that installs it', async () => {
  const missing = await rejectionOf(findOnnxruntimeWeb([temporary('page.js')]));
  expect(missing.problem).toContain('not installed');
  expect(missing.advice).toBe('Install it beside sdconvert: npm install onnxruntime-web@1.30.0');
  const other = temporary('other/node_modules/onnxruntime-web');
  mkdirSync(join(other, 'dist'), { recursive: true });
  writeFileSync(join(other, 'package.json'), '{"version": "1.2.3", "main": "dist/ort.js"}');
  writeFileSync(join(other, 'dist/ort.js'), '');
  const another = await rejectionOf(findOnnxruntimeWeb([temporary('other/page.js')]));
  expect(another.problem).toContain('another version');
  expect(another.details.found).toContain('1.2.3');
});

test('the version of onnxruntime-web that is asked for is the one that is tested', () => {
  const own = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(own.peerDependencies['onnxruntime-web']).toBe(ORT_WEB_VERSION);
  expect(own.devDependencies['onnxruntime-web']).toBe(ORT_WEB_VERSION);
});

describe('a folder', () => {
  const plan = { unet: { family: 'sd1' }, models: {}, tokenizers: {} };
  const refusal = async (files: Readonly<Record<string, unknown>>) => {
    rmSync(temporary('taken'), { recursive: true, force: true });
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(temporary(`taken/${name}`)), { recursive: true });
      writeFileSync(temporary(`taken/${name}`), JSON.stringify(content));
    }
    const { problem, details } = await rejectionOf(
      web({ folder: 'none', output: temporary('taken'), force: true }),
    );
    expect(Object.keys(files).every((name) => existsSync(temporary(`taken/${name}`)))).toBe(true);
    return { problem: problem.replace(temporary('taken'), 'taken'), ...details };
  };

  test.each([
    ['no page', { 'diary.txt': '' }, 'diary.txt'],
    ['another program’s plan.json', { 'plan.json': { models: [] }, 'diary.txt': '' }, 'plan.json'],
    ['a page with something beside it', { 'plan.json': plan, 'diary.txt': '' }, 'diary.txt'],
    ['a page with something among its models', { 'plan.json': plan, 'models/my.onnx': '' }, 'models/my.onnx'],
  ])('that holds %s is left alone, whatever --force says', async (_, files, found) => {
    expect(await refusal(files)).toEqual({ problem: 'taken holds something else than a page.', found });
  });

  test('that holds a page is replaced with --force', async () => {
    const page = { 'index.html': '', 'plan.json': plan, 'ort/ort.old.mjs': '' };
    expect((await refusal(page)).problem).not.toContain('taken');
  });
});

test('the demo is drawn by the rules of the page: all of a long prompt, and no safety checker', async () => {
  cpSync(models, temporary('safe'), { recursive: true });
  // It would fail as a safety checker, if it were run.
  cpSync(join(models, 'vae_decoder'), temporary('safe/safety_checker'), { recursive: true });
  const notes: string[] = [];
  const made = await web(
    { folder: temporary('safe'), prompt: 'a red circle and '.repeat(30), steps: 1 },
    { onProgress: (event) => event.type === 'note' && notes.push(event.message) },
  );
  expect(resultSchemas.web.parse(made).files.map(({ path }) => path)).toContain('demo.png');
  expect(notes.filter((note) => note.includes('cut off'))).toEqual([]);
});

test('the page takes the ONNX models of a conversion wherever they are, before what browsers do not run', async () => {
  const onnx = temporary('for clients/onnx-openvino');
  cpSync(models, onnx, { recursive: true });
  cpSync(models, temporary('for clients/onnx'), { recursive: true });
  renameSync(temporary('for clients/onnx/unet'), temporary('for clients/onnx/unet_chunk1'));
  const planned = await planWeb(temporary('for clients'), {});
  expect(planned.models.map(({ path }) => dirname(dirname(path)))).toEqual([onnx, onnx, onnx]);
  rmSync(onnx, { recursive: true });
  expect((await rejectionOf(planWeb(temporary('for clients'), {}))).problem).toContain('is in chunks');
});

test('a model of few bits that computes in float16 is one that only some graphics processors run', async () => {
  cpSync(models, temporary('few bits'), { recursive: true });
  const plan = planQuantization({ bits: 6 });
  for (const name of ['text_encoder', 'unet', 'vae_decoder'])
    await quantizeArtifact({ artifact: temporary('few bits', name), inPlace: true, plan });
  const planned = await planWeb(temporary('few bits'), {});
  expect(planned.models.map(({ isFloat16 }) => isFloat16)).toEqual([true, true, true]);
});

test('the page is small, and neither Node nor another host is in it', async () => {
  let bytes = 0;
  for (const { output, plugins: _, ...input } of [page].flat() as [{ output: object; plugins: unknown }]) {
    const bundle = await rolldown(input);
    const [script] = (await bundle.generate(output)).output;
    await bundle.close();
    bytes += gzipSync(script.code, { level: 9 }).length;
    expect(script.code).not.toMatch(/(?:\bfrom|\bimport|\bfetch)\s*\(?\s*["'`](?:node:|https?:)/);
  }
  expect(bytes).toBeLessThan(300e3);
});
