/**
 * `npm run demo`: the small trained checkpoint in models/sd-shapes, converted with SPLIT_EINSUM attention and the UNet in
 * chunks, checked against its float32 reference, and put to work: the same prompts from the same noise as diffusers
 * drew, compared with the pictures diffusers made.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createReport } from '../cli/report.ts';
import { conversionStages, convertCheckpoint } from '../src/commands/convert.ts';
import { generate, generateStages } from '../src/commands/generate.ts';
import type { Image } from '../src/generate/image.ts';
import { pixelsOf } from '../src/generate/image-tensor.ts';
import { alignColumns, formatBytes } from '../src/text.ts';
import { compare } from '../src/validate/psnr.ts';
import { openSafetensors } from '../src/weights/safetensors-file.ts';
import { readTensor } from '../src/weights/tensor-data.ts';
import { readPng, sheet, writePng } from './pictures.ts';

const root = join(import.meta.dirname, '..');
const output = join(root, 'demo-output');
const goldens = join(root, 'test/goldens/sd-shapes');
/** Half of the UNet's 10.6 MB of float16 weights and a little: two chunks. */
const MAX_CHUNK_BYTES = 6e6;
/** A picture is as diffusers drew it when no eye can tell: 8-bit rounding alone leaves 59 dB. */
const MIN_PICTURE_PSNR = 40;

process.exitCode = await demo();

async function demo(): Promise<number> {
  const start = performance.now();
  const report = createReport({ json: false, quiet: false }, new AbortController().signal);
  const options = {
    modelVersion: join(root, 'models/sd-shapes'),
    output,
    attention: 'SPLIT_EINSUM',
    maxChunkBytes: MAX_CHUNK_BYTES,
    minPsnr: 35,
    force: true,
  } as const;
  const { artifacts, verdicts } = await report.follow(await conversionStages(options), (context) =>
    convertCheckpoint(options, context),
  );
  const converted = secondsSince(start);

  const pictures = [];
  for (const file of (await readdir(goldens)).filter((name) => /^p\d__dpm20__g3\.safetensors$/.test(name))) {
    const golden = await readGolden(join(goldens, file));
    const request = { ...golden.request, input: output, output: join(output, 'pictures') };
    const begin = performance.now();
    const [image] = await report.follow(generateStages, (context) => generate(request, context));
    if (!image) throw new Error('nothing was drawn');
    const drawn = await readPng(image.path);
    pictures.push({
      prompt: request.prompt,
      drawn,
      psnr: compareWith(golden.image, drawn),
      seconds: secondsSince(begin),
    });
  }
  await writePng(join(output, 'pictures/sheet.png'), sheet([pictures.map(({ drawn }) => drawn)], 4));

  const rows = verdicts.map(({ model, paths, outputs }) => {
    const parts = artifacts.filter(({ path }) => paths.includes(join(output, path)));
    const bytes = parts.flatMap(({ files }) => files).reduce((sum, { byteLength }) => sum + byteLength, 0);
    const psnr = Math.min(...outputs.map((each) => each.psnr));
    return [parts[0]?.target ?? '', model, String(parts.length), formatBytes(bytes), psnr.toFixed(1)];
  });
  print(alignColumns([['target', 'model', 'files', 'size', 'dB from float32'], ...rows]));
  const drawings = pictures.map(({ prompt, psnr, seconds }) => [prompt, psnr.toFixed(1), seconds]);
  print(alignColumns([['prompt (drawn with the ONNX chunks)', 'dB from diffusers', 'seconds'], ...drawings]));
  print(
    `Converted and checked in ${converted} s, ${secondsSince(start)} s in all. Pictures in ${join(output, 'pictures')}.`,
  );

  const far = pictures.filter(({ psnr }) => !(psnr >= MIN_PICTURE_PSNR));
  for (const { prompt, psnr } of far)
    print(`FAILED: “${prompt}” is only ${psnr.toFixed(1)} dB from diffusers' picture.`);
  return far.length === 0 && pictures.length > 0 ? 0 : 1;
}

function print(text: string): void {
  process.stdout.write(`\n${text}\n`);
}

function secondsSince(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}

/** What diffusers was asked, and the picture it gave [1,3,H,W]. */
async function readGolden(path: string) {
  const file = await openSafetensors(path);
  try {
    const { metadata, weights } = file;
    const weight = weights.get('image');
    if (!weight) throw new Error(`${path} has no image`);
    return {
      image: await readTensor(weight, 'f32'),
      request: {
        prompt: metadata.prompt ?? '',
        negativePrompt: metadata.negative_prompt ?? '',
        seed: Number(metadata.seed),
        steps: Number(metadata.num_inference_steps),
        guidanceScale: Number(metadata.guidance_scale),
        rng: 'torch',
        imageCount: 1,
      } as const,
    };
  } finally {
    await file.close();
  }
}

/** PSNR of a picture against diffusers' tensor, cut off to what a picture can show. */
function compareWith(golden: { shape: readonly number[]; data: Float32Array }, drawn: Image): number {
  const shown = golden.data.map((value) => Math.min(1, Math.max(-1, value)));
  const shape = golden.shape;
  return compare({ dtype: 'f32', shape, data: shown }, pixelsOf(drawn)).psnr;
}
