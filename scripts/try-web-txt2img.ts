/**
 * Draws with web-txt2img, another project's library for browsers, from what `convert --for ort-web` writes, and compares the
 * picture with the same computation in Node. The library draws its noise with Math.random, which is given here. Ends with
 * `N passed, N failed`.
 *
 *     node scripts/try-web-txt2img.ts BROWSER
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chromium } from 'playwright-core';
import { convertCheckpoint } from '../src/commands/convert.ts';
import { runArtifacts } from '../src/commands/run.ts';
import { imageFromTensor } from '../src/generate/image-tensor.ts';
import { openTokenizer } from '../src/generate/open-tokenizer.ts';
import { decodePng } from '../src/generate/png.ts';
import { createRng } from '../src/random/random.ts';
import { psnr } from '../src/validate/psnr.ts';
import { findOnnxruntimeWeb, ortFiles } from '../src/web/find-onnxruntime-web.ts';
import { serveFolder } from '../src/web/serve-folder.ts';
import type { TensorData } from '../src/weights/tensor-data.ts';
import { numbersOf } from '../src/weights/tensor-values.ts';

const [browserPath = 'chromium'] = process.argv.slice(2);
const root = join(import.meta.dirname, '..');
const PROMPT = 'a large red circle on a white background';
const MIN_PSNR = 40;

/** What the library fixes: one step of Euler's scheduler at its first noise level, of pictures of 512 × 512. */
const SIGMA = 14.6146;
const TIMESTEP = 999;
const SCALE = 0.18215;
const LATENTS: readonly number[] = [1, 4, 64, 64];
const COUNT = LATENTS.reduce((product, size) => product * size, 1);

/** Runs in the page; gives the bytes of a PNG. */
const program = `async ({ ids, uniform, prompt }) => {
  const ort = await import('/ort/ort.wasm.min.mjs');
  const { loadModel, generateImage } = await import('/client/index.js');
  const loaded = await loadModel('sd-turbo', {
    backendPreference: ['wasm'],
    modelBaseUrl: '/models',
    ort,
    wasmPaths: '/ort/',
    tokenizerProvider: async () => async () => ({ input_ids: ids }),
  });
  if (!loaded.ok) throw new Error('loading: ' + loaded.message);
  Math.random = () => uniform.shift();
  const drawn = await generateImage({ model: 'sd-turbo', prompt });
  if (!drawn.ok) throw new Error('drawing: ' + drawn.message);
  return [...new Uint8Array(await drawn.blob.arrayBuffer())];
}`;

const work = mkdtempSync(join(tmpdir(), 'sdconvert-web-txt2img-'));
try {
  await tryClient();
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function tryClient(): Promise<void> {
  const checkpoint = join(root, 'models/sd-shapes');
  const output = join(work, 'out');
  await convertCheckpoint({ modelVersion: checkpoint, output, clients: ['ort-web'] });
  const models = join(output, 'onnx-ort-web');
  const tokenizer = await openTokenizer({ folder: join(checkpoint, 'tokenizer') });
  const ids = tokenizer.encode(PROMPT, { maxLength: 77 });
  const uniform = uniformNumbers(2 * COUNT);
  const started = performance.now();
  const found = decodePng(await drawnInBrowser(models, ids, uniform), 'the picture of web-txt2img');
  const seconds = (performance.now() - started) / 1000;
  const expected = await drawnInNode(models, ids, uniform);
  const decibels = psnr(expected.data, withoutAlpha(found.data));
  const isRight = decibels >= MIN_PSNR && found.width === 512 && found.height === 512;
  const text = `web-txt2img drew ${found.width} × ${found.height} pixels in ${seconds.toFixed(1)} s, ${decibels.toFixed(1)} dB from Node`;
  process.stdout.write(
    `${isRight ? 'ok    ' : 'FAILED'}  ${text}\n${isRight ? '1 passed, 0' : '0 passed, 1'} failed\n`,
  );
  process.exitCode = isRight ? 0 : 1;
}

/** Numbers between 0 and 1, never 0. */
function uniformNumbers(count: number): number[] {
  const rng = createRng('numpy', 7);
  return [...rng.normal(count)].map((value) => 1 / (1 + Math.exp(-value)));
}

async function drawnInBrowser(
  models: string,
  ids: readonly number[],
  uniform: readonly number[],
): Promise<Uint8Array> {
  const site = join(work, 'site');
  mkdirSync(join(site, 'ort'), { recursive: true });
  const client = dirname(createRequire(import.meta.url).resolve('web-txt2img'));
  cpSync(client, join(site, 'client'), { recursive: true });
  cpSync(models, join(site, 'models'), { recursive: true });
  const onnxruntime = await findOnnxruntimeWeb([import.meta.url]);
  for (const name of ortFiles) cpSync(join(onnxruntime, name), join(site, 'ort', name));
  writeFileSync(join(site, 'index.html'), '<!doctype html><title>web-txt2img</title>');
  const server = await serveFolder(site, { host: '127.0.0.1', port: 0 });
  const browser = await chromium.launch({
    executablePath: browserPath,
    args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update'],
  });
  try {
    const page = await browser.newPage();
    await page.goto(server.address);
    const request = { ids, uniform, prompt: PROMPT };
    // As a text: the program runs in the page, where these modules are.
    const bytes: number[] = await page.evaluate(`(${program})(${JSON.stringify(request)})`);
    return Uint8Array.from(bytes);
  } finally {
    await browser.close();
    await server.close();
  }
}

/** The same step with the same files: normal numbers by Box and Muller's formula from pairs of uniform ones. */
async function drawnInNode(models: string, ids: readonly number[], uniform: readonly number[]) {
  const noise = Float32Array.from({ length: COUNT }, (_, i) => {
    const [u = 1, v = 0] = [uniform[2 * i], uniform[2 * i + 1]];
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v) * SIGMA;
  });
  const run = async (network: string, inputs: Readonly<Record<string, TensorData>>, output: string) => {
    const outputs = await runArtifacts({
      artifacts: [join(models, network)],
      inputs: new Map(Object.entries(inputs)),
    });
    const found = outputs.get(output);
    if (!found) throw new Error(`${network} has no ${output}`);
    return found;
  };
  const input_ids = { dtype: 'i32', shape: [1, ids.length], data: Int32Array.from(ids) } as const;
  const hidden = await run('text_encoder', { input_ids }, 'last_hidden_state');
  const sample = {
    dtype: 'f32',
    shape: LATENTS,
    data: noise.map((value) => value / Math.sqrt(SIGMA ** 2 + 1)),
  } as const;
  const timestep = { dtype: 'f32', shape: [1], data: Float32Array.of(TIMESTEP) } as const;
  const predicted = numbersOf(
    await run('unet', { sample, timestep, encoder_hidden_states: hidden }, 'out_sample'),
  );
  const latents = noise.map((value, i) => (value - SIGMA * (predicted[i] ?? 0)) / SCALE);
  const latent_sample = { dtype: 'f32', shape: LATENTS, data: latents } as const;
  const picture = await run('vae_decoder', { latent_sample }, 'sample');
  return imageFromTensor(Float32Array.from(numbersOf(picture)), 512, 512);
}

/** RGBA to RGB. */
function withoutAlpha(pixels: ArrayLike<number>): Uint8Array {
  return Uint8Array.from(Array.from(pixels).filter((_, i) => i % 4 !== 3));
}
