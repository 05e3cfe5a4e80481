/**
 * Tries the report card of the demo in a real browser: writes it with pictures, and tells how long that took beside conversion and comparison,
 * and opens it in light, in dark, on a phone and as a print. Nothing is fetched, no violation of accessibility, the slider moves by
 * keyboard. Ends with `N passed, N failed`.
 *
 *     node scripts/try-report.ts BROWSER OUT [--pictures FOLDER]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Page } from 'playwright-core';
import { report } from '../src/commands/report.ts';
import type { ProgressEvent } from '../src/context.ts';
import type { Card } from '../src/report/card.ts';
import { Checks } from './browser-checks.ts';

const [browserPath = 'chromium', folder = 'demo-output', flag, pictures] = process.argv.slice(2);
const MOST_BYTES = 2e6;
const PHONE = 390;

interface Seconds {
  readonly wall: number;
  readonly cpu: number;
}

/** Counts seconds from its making on, without those of the stage that runs and compares the models. */
class Watch {
  readonly #start = secondsNow();
  readonly #left = { wall: 0, cpu: 0 };
  #compareStart = this.#start;

  readonly onProgress = (event: ProgressEvent): void => {
    if (event.type !== 'stage' || event.stage !== 'compare') return;
    const now = secondsNow();
    if (event.state === 'started') this.#compareStart = now;
    else {
      this.#left.wall = now.wall - this.#compareStart.wall;
      this.#left.cpu = now.cpu - this.#compareStart.cpu;
    }
  };

  get seconds(): Seconds {
    const { wall, cpu } = secondsNow();
    return {
      wall: wall - this.#start.wall - this.#left.wall,
      cpu: cpu - this.#start.cpu - this.#left.cpu,
    };
  }
}

function secondsNow(): Seconds {
  const { user, system } = process.cpuUsage();
  return { wall: performance.now() / 1000, cpu: (user + system) / 1e6 };
}

const checks = new Checks();
const work = mkdtempSync(join(tmpdir(), 'sdconvert-report-'));
try {
  const watch = new Watch();
  const { card, files } = await report(
    {
      folder,
      reference: join(import.meta.dirname, '../models/sd-shapes'),
      output: join(work, 'card'),
      pictures: true,
      prompt: 'a large red star on a white background',
      seed: 3,
      steps: 10,
      guidanceScale: 3,
    },
    watch,
  );
  checkCard(card, watch.seconds);
  const [page = ''] = files;
  checks.check(
    'it is small',
    statSync(page).size < MOST_BYTES,
    `${(statSync(page).size / 1e3).toFixed(0)} kB`,
  );
  await open(page);
} catch (error) {
  checks.check(
    'the report is tried to the end',
    false,
    error instanceof Error ? error.message : String(error),
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = checks.end();

/** Checks what the card says, and tells what it took beside the comparison. */
function checkCard({ verdict, cost, pictures: drawn }: Card, seconds: Seconds): void {
  checks.check('the demo passes', verdict.result === 'pass', verdict.sentence);
  const stages = cost.report.map((stage) => `${stage.name} ${stage.seconds.toFixed(1)} s`).join(', ');
  const took = `${seconds.wall.toFixed(1)} s, ${seconds.cpu.toFixed(1)} CPU-seconds (${stages})`;
  // Told, not judged: on a busy machine the time tells how busy it is.
  console.log(`time    beside the comparison ${took}`);
  const similar = drawn?.swapped.every(({ ssim }) => ssim > 0.9) ?? false;
  const shown = drawn?.swapped.map(({ network, ssim }) => `${network} ${ssim.toFixed(4)}`).join(', ');
  checks.check('pictures are like those of float32', similar, shown);
}

async function open(file: string): Promise<void> {
  const context = await chromium.launchPersistentContext(join(work, 'profile'), {
    executablePath: browserPath,
    args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update'],
    viewport: { width: 1100, height: 900 },
  });
  try {
    const page = await context.newPage();
    const [foreign, errors]: [string[], string[]] = [[], []];
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) foreign.push(request.url());
    });
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(pathToFileURL(file).href);
    await look(page);
    checks.check('nothing is fetched', foreign.length === 0, foreign.join(' '));
    checks.check('the browser reports no error', errors.length === 0, errors.join('; '));
  } finally {
    await context.close();
  }
}

async function look(page: Page): Promise<void> {
  const slider = page.locator('.compare input');
  await slider.focus();
  for (let press = 0; press < 10; press++) await page.keyboard.press('ArrowRight');
  const at = await page.locator('.compare .pair').evaluate((pair) => pair.getAttribute('style'));
  checks.check('the slider moves by keyboard', at?.includes('60%') ?? false, at ?? '');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await checks.accessible(page, colorScheme);
    await picture(page, colorScheme);
  }
  await page.setViewportSize({ width: PHONE, height: 844 });
  await checks.accessible(page, 'phone');
  const wide: number = await page.evaluate('document.documentElement.scrollWidth');
  checks.check('it fits on a phone', wide <= PHONE, `${wide} pixels`);
  await picture(page, 'phone');
  await page.setViewportSize({ width: 794, height: 1123 });
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  const paper = await page.evaluate('getComputedStyle(document.body).backgroundColor');
  checks.check('it prints on white', paper === 'rgb(255, 255, 255)', String(paper));
  await picture(page, 'print');
}

async function picture(page: Page, name: string): Promise<void> {
  if (flag === '--pictures' && pictures)
    await page.screenshot({ path: join(pictures, `report-${name}.png`), fullPage: true });
}
