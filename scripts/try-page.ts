/**
 * Tries the page of `sdconvert web` in a real browser: converts the demo's model, makes its page, serves it, and draws in
 * WebAssembly what Node drew. Also: nothing comes from another host, no violation of accessibility, models are downloaded
 * once and go on after a break, what is damaged or missing is one sentence. Ends with `N passed, N failed`.
 *
 *     node scripts/try-page.ts BROWSER [--pictures FOLDER]
 *     node scripts/try-page.ts BROWSER --webgpu      one step on WebGPU instead, computed by SwiftShader
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { convertCheckpoint } from '../src/commands/convert.ts';
import { serve } from '../src/commands/serve.ts';
import { web } from '../src/commands/web.ts';
import { Checks } from './browser-checks.ts';

const [browserPath = 'chromium', flag, pictures] = process.argv.slice(2);
const root = join(import.meta.dirname, '..');
/** A picture is as Node drew it when no eye can tell: 8-bit rounding alone leaves 59 dB. */
const MIN_PSNR = 40;
const MOST_SCRIPT_BYTES = 300e3;
const MOST_MS_TO_PAINT = 1000;
const checks = new Checks();
const check = checks.check.bind(checks);
const work = mkdtempSync(join(tmpdir(), 'sdconvert-page-'));
try {
  await (flag === '--webgpu' ? tryWebGpu() : tryPage());
} catch (error) {
  check('the page is tried to the end', false, error instanceof Error ? error.message : String(error));
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = checks.end();

async function tryPage(): Promise<void> {
  const output = join(work, 'out');
  await convertCheckpoint({ modelVersion: join(root, 'models/sd-shapes'), output, targets: ['onnx'] });
  const { folder } = await web({ folder: output, guidanceScale: 3 });
  const scripts = ['page.js', 'worker.js'].map((name) =>
    gzipSync(readFileSync(join(folder, name)), { level: 9 }),
  );
  const bytes = scripts.reduce((sum, { length }) => sum + length, 0);
  check('the scripts are small', bytes < MOST_SCRIPT_BYTES, `${(bytes / 1e3).toFixed(1)} kB compressed`);

  const server = await serve({ folder, port: 0 });
  const context = await launch();
  const foreign: string[] = [];
  context.on('request', (request) => {
    if (/^https?:/.test(request.url()) && !request.url().startsWith(server.address))
      foreign.push(request.url());
  });
  try {
    await interrupted(context, server.address);
    await drawsAsNode(context, server.address);
    await again(context, server.address, join(folder, 'demo.png'));
    await cutShort(context, server.address);
    await withoutIsolation(context, server.address);
    await withoutRoom(context, server.address);
    await asFile(context, join(folder, 'index.html'));
    check('nothing comes from another host', foreign.length === 0, foreign.join(' '));
  } finally {
    await context.close();
    await server.close();
  }
}

/** Draws one step on WebGPU; without a graphics processor, in float32. Says so where the browser gives no adapter. */
async function tryWebGpu(): Promise<void> {
  const output = join(work, 'out');
  const modelVersion = join(root, 'models/sd-shapes');
  await convertCheckpoint({ modelVersion, output, targets: ['onnx'], precision: 'float32' });
  const { folder } = await web({ folder: output, steps: 1, guidanceScale: 1 });
  const server = await serve({ folder, port: 0 });
  const context = await launch([
    '--enable-unsafe-webgpu',
    '--use-webgpu-adapter=swiftshader',
    '--enable-unsafe-swiftshader',
    '--enable-features=Vulkan',
  ]);
  try {
    const page = await context.newPage();
    await page.goto(server.address); // WebGPU is for pages of a safe origin alone
    if (!(await page.evaluate('Promise.resolve(navigator.gpu?.requestAdapter()).then(Boolean)')))
      return void console.log('left out: this browser starts no WebGPU here');
    await open(page, server.address, 'webgpu');
    await page.click('#demo');
    await drawsWhatNodeDraws(page, 'it draws on WebGPU what Node draws', 300_000);
  } finally {
    await context.close();
    await server.close();
  }
}

/** A browser with a profile of its own. */
function launch(more: readonly string[] = []): Promise<BrowserContext> {
  return chromium.launchPersistentContext(join(work, 'profile'), {
    executablePath: browserPath,
    args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update', ...more],
    viewport: { width: 1100, height: 900 },
  });
}

/** The connection breaks in the midst of the largest file, and the page goes on from there. */
async function interrupted(context: BrowserContext, address: string): Promise<void> {
  const page = await context.newPage();
  const ranges: string[] = [];
  let breaks = 0;
  await page.route('**/unet/model.onnx_data', async (route) => {
    ranges.push(route.request().headers().range ?? 'whole');
    if (breaks++ > 0) return route.continue();
    // Half of the file, as if the connection had ended there.
    const response = await route.fetch();
    const body = (await response.body()).subarray(0, 5_000_000);
    await route.fulfill({ status: 200, body, headers: { 'Content-Type': 'application/octet-stream' } });
  });
  await open(page, address);
  await drawWith(page, { steps: '1' });
  check('a download goes on after a break', ranges.join() === 'whole,bytes=5000000-', ranges.join());
  await page.close();
}

async function drawsAsNode(context: BrowserContext, address: string): Promise<void> {
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  await open(page, address);
  const paint = await page.evaluate(
    () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
  );
  check(
    'it is there at once',
    (paint ?? Number.POSITIVE_INFINITY) < MOST_MS_TO_PAINT,
    `${paint?.toFixed(0)} ms`,
  );
  check('it runs on several threads', /\d threads/.test((await page.textContent('#device')) ?? ''));
  await page.click('#demo');
  await drawsWhatNodeDraws(page, 'it draws what Node draws');
  check(
    'the picture says what it shows',
    (await page.getAttribute('canvas', 'aria-label')) === 'a red circle',
  );
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await checks.accessible(page, colorScheme);
    await picture(page, colorScheme);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await checks.accessible(page, 'phone');
  const wide: number = await page.evaluate('document.documentElement.scrollWidth');
  check('it fits on a phone', wide <= 390, `${wide} pixels`);
  await picture(page, 'phone');
  check('the browser reports no error', errors.length === 0, errors.join('; '));
  await page.close();
}

/** A second visit: by keyboard, from a picture, and stopped. */
async function again(context: BrowserContext, address: string, demo: string): Promise<void> {
  const page = await context.newPage();
  let downloads = 0;
  page.on('request', (request) => {
    // The encoder is needed for the first time.
    if (/\/models\/(?!vae_encoder)/.test(request.url())) downloads += 1;
  });
  await open(page, address);
  await page.fill('[name=steps]', '2');
  await drop(page, 'h1', 'demo.png');
  await page.locator('picture-drop img').waitFor();
  check('a picture can be dropped anywhere', page.url().startsWith(address), page.url());
  await page.click('picture-drop button');
  await page.setInputFiles('picture-drop input[type=file]', demo);
  await page.press('[name=prompt]', 'Control+Enter');
  await done(page);
  const caption = (await page.textContent('figcaption')) ?? '';
  check(
    'it starts from a picture, by keyboard',
    caption.includes('2 steps') && !caption.includes('Node'),
    caption,
  );
  check('models are downloaded once', downloads === 0, `${downloads} downloads`);
  await page.fill('[name=steps]', '100');
  await page.click('#draw');
  await page.locator('#status', { hasText: /Step [1-9]/ }).waitFor();
  await page.click('#stop');
  await page.locator('#status', { hasText: 'Stopped.' }).waitFor();
  check('it can be stopped', await page.isEnabled('#draw'));
  await page.click('#forget');
  await page.locator('#status', { hasText: 'removed' }).waitFor();
  await page.close();
}

/** Drops a file of the page's folder onto an element. */
async function drop(page: Page, onto: string, file: string): Promise<void> {
  const dataTransfer = await page.evaluateHandle(`fetch('${file}').then(async (response) => {
    const data = new DataTransfer();
    data.items.add(new File([await response.blob()], '${file}', { type: 'image/png' }));
    return data;
  })`);
  await page.dispatchEvent(onto, 'drop', { dataTransfer });
}

/** With less room than the models take, which are drawn with all the same. */
async function withoutRoom(context: BrowserContext, address: string): Promise<void> {
  const page = await context.newPage();
  await open(page, address);
  await page.click('#forget');
  await page.locator('#status', { hasText: 'removed' }).waitFor();
  const session = await context.newCDPSession(page);
  const { origin } = new URL(address);
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1e6 });
  await drawWith(page, { steps: '1' });
  const notes = (await page.textContent('#notes')) ?? '';
  check('without room it draws, and says that nothing is kept', /has no room/.test(notes), notes);
  await session.send('Storage.overrideQuotaForOrigin', { origin });
  await page.close();
}

/** Opened from the disk, where browsers load no scripts. */
async function asFile(context: BrowserContext, index: string): Promise<void> {
  const page = await context.newPage();
  await page.goto(pathToFileURL(index).href);
  await page.locator('.late').waitFor();
  const device = (await page.textContent('#device')) ?? '';
  check('opened as a file it says what to do', device.includes('sdconvert serve'), device);
  await page.close();
}

/** A model that is shorter than when the page was made, from a server that knows no ranges. */
async function cutShort(context: BrowserContext, address: string): Promise<void> {
  const page = await context.newPage();
  let body: Buffer | undefined;
  await page.route('**/text_encoder/model.onnx_data', async (route) => {
    body ??= (await (await route.fetch()).body()).subarray(0, 1000);
    await route.fulfill({ status: 200, body, headers: { 'Content-Type': 'application/octet-stream' } });
  });
  await open(page, address);
  await page.click('#draw');
  await page.locator('#error:not(:empty)').waitFor();
  const error = (await page.textContent('#error')) ?? '';
  check('a model that is cut short is one sentence', /text_encoder.*ends after 1000 of /.test(error), error);
  await page.close();
}

/** From a server that knows no COOP and COEP, and with a damaged model. */
async function withoutIsolation(context: BrowserContext, address: string): Promise<void> {
  const page = await context.newPage();
  await page.route('**/*', async (route) => {
    const response = await route.fetch();
    const headers = response.headers();
    delete headers['cross-origin-opener-policy'];
    delete headers['cross-origin-embedder-policy'];
    const body = await response.body();
    if (route.request().url().endsWith('vae_decoder/model.onnx_data')) body[0] = (body[0] ?? 0) ^ 1;
    await route.fulfill({ response, headers, body });
  });
  await open(page, address);
  const device = (await page.textContent('#device')) ?? '';
  check(
    'without isolation it says why it has one thread',
    /one thread. It would use more if the server sent/.test(device),
    device,
  );
  await page.click('#draw');
  await page.locator('#error:not(:empty)').waitFor();
  const error = (await page.textContent('#error')) ?? '';
  check('a damaged model is one sentence', /vae_decoder\/model.onnx_data is damaged/.test(error), error);
  await page.close();
}

/** Waits for the demo's picture, and holds it against Node's. */
async function drawsWhatNodeDraws(page: Page, claim: string, timeout?: number): Promise<void> {
  await done(page, timeout);
  const caption = (await page.textContent('figcaption')) ?? '';
  const psnr = /byte for byte/.test(caption)
    ? Number.POSITIVE_INFINITY
    : Number(/([\d.]+) dB/.exec(caption)?.[1]);
  check(claim, psnr >= MIN_PSNR, caption);
}

async function open(page: Page, address: string, device = 'wasm'): Promise<void> {
  await page.goto(`${address}?device=${device}`);
  await page.locator('#draw:enabled').waitFor();
}

async function drawWith(page: Page, values: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(values)) await page.fill(`[name=${name}]`, value);
  await page.click('#draw');
  await done(page);
}

/** Waits for the picture. Throws what the page says instead. */
async function done(page: Page, timeout = 90_000): Promise<void> {
  const text = (id: string) => page.textContent(id);
  await page.locator('#status:text-is("Done."), #error:not(:empty)').first().waitFor({ timeout });
  if ((await text('#status')) !== 'Done.') throw new Error(`the page says: ${await text('#error')}`);
}

async function picture(page: Page, name: string): Promise<void> {
  if (flag === '--pictures' && pictures)
    await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}
