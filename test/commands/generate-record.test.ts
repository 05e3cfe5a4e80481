import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { GenerateOptions } from '../../src/commands/drawing/request.ts';
import { generate } from '../../src/commands/generate.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { Networks } from '../../src/generate/networks.ts';
import { encodePng } from '../../src/generate/png.ts';
import { textsIn } from '../../src/io/png-text.ts';
import { convertDrawingCheckpoint, SIDE } from '../support/drawing-checkpoints.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// What a picture says of how it was drawn is what was done.

const temporary = temporaryFolder();

/** Milliseconds: much more than the steps take. */
const LOADING = 2000;

test('a picture that was edited has no strength; one that was redrawn has its own', async () => {
  const image = square();
  const edited = await draw({ input: await convert('pix2pix'), image });
  expect(edited.name).toBe('a.1.final.png');
  expect(edited.record).not.toContain('Denoising strength');
  expect(edited.record).toContain('Image CFG scale: 1.5');
  const redrawn = await draw({ input: await convert('plain'), image });
  expect(redrawn.name).toBe('a.str50.1.final.png');
  expect(redrawn.record).toContain('Denoising strength: 0.5');
});

test('a negative prompt is on record where it is read, and noted once where it is not', async () => {
  const [plain, lcm] = [await convert('plain'), await convert('lcm')];
  const negative = { negativePrompt: 'blurry', guidanceScale: 3, prompt: ['a', 'b'] };
  const read = await draw({ ...negative, input: plain });
  expect(read.record).toContain('Negative prompt: blurry');
  expect(read.notes).toEqual([]);
  for (const unread of [
    { input: plain, guidanceScale: 1 },
    { input: plain, guidanceScale: 0 },
    { input: lcm, guidanceScale: 3 },
  ]) {
    const { record, notes } = await draw({ ...negative, ...unread });
    expect(record).not.toContain('blurry');
    expect(notes.filter((note) => note.includes('the negative prompt is not used'))).toHaveLength(1);
  }
});

test('ControlNets are on record with their scales and steps', async () => {
  const image = square();
  const { record } = await draw({
    input: await convert('plain'),
    controlnets: [
      { name: 'controlnet', image, scale: 0.8, end: 0.5 },
      { name: 'controlnet_1', image },
    ],
  });
  expect(record).toContain('ControlNets: controlnet × 0.8 from 0 to 0.5 + controlnet_1 × 1,');
});

test('the time of a picture is that of its steps, however long its networks take to load', async () => {
  const input = await convert('xl');
  const own = Networks.prototype.use;
  const slowly: typeof own = async function (this: Networks, ...args) {
    if (args[0] === 'unet' || args[0] === 'refiner') await setTimeout(LOADING);
    return own.apply(this, args) as never; // as: what `own` gives
  };
  const use = vi.spyOn(Networks.prototype, 'use').mockImplementation(slowly);
  const { seconds } = await draw({
    input,
    image: square(),
    refinerStart: 0.75,
    strength: 0.9,
    steps: 10,
    reduceMemory: true,
  });
  use.mockRestore();
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThan(LOADING / 1000);
});

function convert(name: 'xl' | 'plain' | 'pix2pix' | 'lcm'): Promise<string> {
  return convertDrawingCheckpoint(temporary('models'), name, { target: 'onnx' });
}

async function draw(options: Partial<GenerateOptions> & { readonly input: string }) {
  const notes: string[] = [];
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'note' && !event.message.startsWith('assuming')) notes.push(event.message);
  };
  const sizes = { height: SIDE, width: SIDE };
  const request = { output: temporary('drawn'), prompt: 'a', seed: 1, steps: 2, ...sizes, ...options };
  const [picture] = await generate(request, { onProgress });
  const path = picture?.path ?? '';
  const seconds = picture?.kind === 'picture' ? picture.seconds : Number.NaN;
  return { seconds, name: basename(path), record: textsIn(readFileSync(path)).parameters ?? '', notes };
}

/** A grey PNG. */
function square(): string {
  const path = temporary('pictures');
  mkdirSync(path, { recursive: true });
  const data = new Uint8Array(SIDE * SIDE * 3).fill(99);
  writeFileSync(`${path}/grey.png`, encodePng({ width: SIDE, height: SIDE, channels: 3, data }));
  return `${path}/grey.png`;
}
