/**
 * `node scripts/bits-and-pictures.ts [FOLDER]`: what fewer bits do to the small trained checkpoint in models/sd-shapes. Its
 * UNet with the same bits for all weights, and with mixed bits at the same size: the loss of its output, and the pictures
 * that it draws. Writes the sheet that docs/quantization.md shows, and prints the numbers
 * of its table, from which `npm run docs` draws its chart.
 */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createReport } from '../cli/report.ts';
import { analyze, analyzeStages } from '../src/commands/analyze.ts';
import { convertCheckpoint } from '../src/commands/convert.ts';
import { generate } from '../src/commands/generate.ts';
import { quantizeArtifact } from '../src/commands/quantize.ts';
import type { Image } from '../src/generate/image.ts';
import { pixelsOf } from '../src/generate/image-tensor.ts';
import { planQuantization } from '../src/quantize/plan.ts';
import { alignColumns, formatBytes } from '../src/text.ts';
import { compare } from '../src/validate/psnr.ts';
import { readPng, sheet, writePng } from './pictures.ts';

const root = join(import.meta.dirname, '..');
const work = process.argv[2] ?? join(root, 'demo-output/bits');
const widths = [8, 6, 4, 2];
const prompts = ['a large red star on a white background', 'a small blue circle on a yellow background'];

const report = createReport({ json: false, quiet: false }, new AbortController().signal);
const original = join(work, 'float16');
const modelVersion = join(root, 'models/sd-shapes');
await convertCheckpoint({ modelVersion, output: original, targets: ['onnx'] });

const request = {
  artifact: join(original, 'onnx/unet'),
  analysis: join(work, 'unet.json'),
  prompts,
  force: true,
};
const { points } = await report.follow(analyzeStages({}), (context) => analyze(request, context));

const exact = await draw('float16');
const rows: Image[][] = [[...exact], [...exact]];
const table: string[][] = [];
for (const bits of widths) {
  const at = points.findIndex((point) => point.bits === bits);
  const [uniform, mixed] = points.slice(at, at + 2);
  if (!uniform || mixed?.bits !== 'mixed') throw new Error(`nothing was measured for ${bits} bits`);
  const plan = planQuantization({ bits });
  await variant(`uniform-${bits}`, (output) =>
    quantizeArtifact({ artifact: request.artifact, output, force: true, plan }),
  );
  await variant(`mixed-${bits}`, (output) =>
    analyze({ ...request, output, target: { bytes: uniform.bytes } }),
  );
  const [plain, mixture] = [await draw(`uniform-${bits}`), await draw(`mixed-${bits}`)];
  rows[0]?.push(...plain);
  rows[1]?.push(...mixture);
  table.push([
    String(bits),
    formatBytes(uniform.bytes),
    uniform.psnr.toFixed(1),
    psnrOf(exact, plain).toFixed(1),
    formatBytes(mixed.bytes),
    mixed.psnr.toFixed(1),
    psnrOf(exact, mixture).toFixed(1),
  ]);
}
await writePng(join(root, 'docs/images/sd-shapes-bits.png'), sheet(rows, 2));
const head = ['bits', 'uniform', 'dB', 'pictures dB', 'mixed', 'dB', 'pictures dB'];
process.stdout.write(`\n${alignColumns([head, ...table])}\n`);

/** The conversion with another UNet. */
async function variant(name: string, write: (output: string) => Promise<unknown>): Promise<void> {
  await rm(join(work, name), { recursive: true, force: true });
  await cp(join(original, 'onnx'), join(work, name, 'onnx'), { recursive: true });
  await write(join(work, name, 'onnx/unet'));
  await cp(join(original, 'onnx/unet/config.json'), join(work, name, 'onnx/unet/config.json'));
}

/** Two pictures, as the checkpoint's README advises to draw them. */
async function draw(name: string): Promise<Image[]> {
  const images: Image[] = [];
  for (const prompt of prompts) {
    const settings = { seed: 3, steps: 20, guidanceScale: 3, rng: 'torch', imageCount: 1 } as const;
    const output = join(work, name, 'pictures');
    const [image] = await generate({
      ...settings,
      prompt,
      negativePrompt: '',
      input: join(work, name),
      output,
    });
    if (!image) throw new Error('nothing was drawn');
    images.push(await readPng(image.path));
  }
  return images;
}

function psnrOf(expected: readonly Image[], found: readonly Image[]): number {
  const all = (images: readonly Image[]) => {
    const data = Float32Array.from(images.flatMap((image) => [...pixelsOf(image).data]));
    return { dtype: 'f32', shape: [data.length], data } as const;
  };
  return compare(all(expected), all(found)).psnr;
}
