import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { readPrompts } from '../../src/commands/drawing/read-prompts.ts';
import type { GenerateOptions } from '../../src/commands/drawing/request.ts';
import { generate } from '../../src/commands/generate.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { decodePng } from '../../src/generate/png.ts';
import { textsIn } from '../../src/io/png-text.ts';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import { sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const temporary = temporaryFolder();
const shared = { seed: 7, steps: 4, guidanceScale: 3 };
let input = '';
let pictureFolders = 0;

beforeAll(async () => {
  input = temporary('shapes');
  const all = { precision: 'float32', targets: ['onnx', 'coreml'] } as const;
  await convertCheckpoint({ ...all, modelVersion: sdShapes, output: input, bundle: true });
});

test('several prompts are drawn as each would be alone, under names of their own', async () => {
  const alone = await draw({ prompt: 'a blue square' });
  const both = await draw({ prompt: ['a red circle', 'a blue square'] });
  expect(names(both)).toEqual(['a_red_circle.7.final.png', 'a_blue_square.7.final.png']);
  expect(pixels(both[1])).toEqual(pixels(alone[0]));
  const alike = await draw({ prompt: ['a cat ', 'a cat\t'], steps: 1 });
  expect(names(alike)).toEqual(['a_cat_.7.final.png', 'a_cat_.1.7.final.png']);
  // One name on Windows and macOS: in another case, and in another normal form.
  const cased = await draw({ prompt: ['Zürich', 'zürich', 'Zu\u0308rich'], steps: 1 });
  expect(names(cased)).toEqual(['Zürich.7.final.png', 'zürich.1.7.final.png', 'Zu\u0308rich.2.7.final.png']);
});

test('several seeds draw every prompt, each as it would alone', async () => {
  const images = await draw({ prompt: ['a cat', 'a dog'], seed: [3, 8], steps: 1, grid: true });
  expect(names(images)).toEqual([
    'a_cat.3.final.png',
    'a_cat.8.final.png',
    'a_dog.3.final.png',
    'a_dog.8.final.png',
    'a_cat.grid.3.final.png',
  ]);
  const [alone] = await draw({ prompt: 'a dog', seed: 8, steps: 1 });
  expect(pixels(images[3])).toEqual(pixels(alone));
  expect(recordOf(images[3])).toContain('Seed: 8,');
  expect(recordOf(images[4])).toMatch(/^a cat\na dog\nSteps: 1, .*, Seed: 3 and 8,/);
  await expect(draw({ prompt: 'a', seed: [3, 2 ** 32] })).rejects.toThrow('cannot seed the numpy random');
});

test('schedulers are compared with one prompt and seed, side by side with their times', async () => {
  const compareSchedulers = ['euler_a', 'DPMSolverMultistep'];
  const images = await draw({ prompt: 'a red circle', compareSchedulers });
  expect(names(images)).toEqual([
    'a_red_circle.EulerAncestralDiscrete.7.final.png',
    'a_red_circle.DPMSolverMultistep.7.final.png',
    'a_red_circle.schedulers.7.final.png',
  ]);
  const [alone] = await draw({ prompt: 'a red circle', scheduler: 'dpm++' });
  expect(pixels(images[1])).toEqual(pixels(alone));
  const [first, , sheet] = images;
  expect(first?.kind === 'picture' && first.seconds).toBeGreaterThan(0);
  expect(sheet?.kind).toBe('sheet');
  expect(sheet?.width).toBeGreaterThan(2 * 64);
  expect(sheet?.height).toBeGreaterThan(64);
  expect(recordOf(sheet)).toContain('Sampler: EulerAncestralDiscrete and DPMSolverMultistep,');
  const both = { prompt: 'a', scheduler: 'ddim', compareSchedulers };
  await expect(draw(both)).rejects.toThrow('--scheduler or --compare-schedulers, not both');
  await expect(draw({ prompt: 'a', compareSchedulers: ['ddim', 'x'] })).rejects.toThrow(
    'no scheduler called x',
  );
});

test('pictures are saved as they are after some steps, on a sheet, and say how they were drawn', async () => {
  const images = await draw({
    prompt: 'a “red” circle',
    negativePrompt: 'no',
    imageCount: 2,
    saveEvery: 2,
    grid: true,
  });
  expect(names(images)).toEqual([
    'a_“red”_circle.0.7.final.png',
    'a_“red”_circle.1.7.final.png',
    'a_“red”_circle.0.7.2.png',
    'a_“red”_circle.1.7.2.png',
    'a_“red”_circle.grid.7.final.png',
  ]);
  expect(images.map(({ kind }) => kind)).toEqual(['picture', 'picture', 'step', 'step', 'sheet']);
  expect(pixels(images[0])).not.toEqual(pixels(images[2]));
  expect(recordOf(images[2])).toContain('Picture: 1 of 2, After step: 2,');
  expect(recordOf(images[4])).not.toContain('Picture:');
  expect(recordOf(images[1]).split('\n')).toEqual([
    'a “red” circle',
    'Negative prompt: no',
    'Steps: 4, Sampler: DPMSolverMultistep, CFG scale: 3, Seed: 7, Size: 64x64, RNG: numpy, Picture: 2 of 2, Version: sdconvert 0.1.0',
  ]);
});

test('reduced memory and tiles that are large enough change nothing', async () => {
  const [usual] = await draw({ prompt: 'a red circle' });
  const [reduced] = await draw({ prompt: 'a red circle', reduceMemory: true, vaeTiling: true });
  const differences = Array.from(pixels(usual), (byte, i) => Math.abs(byte - (pixels(reduced)[i] ?? 0)));
  expect(Math.max(...differences)).toBeLessThanOrEqual(1);
});

test('prompts come from a file, one a line', async () => {
  writeFileSync(temporary('prompts.txt'), '\n a cat\r\n\n“two” dogs\n');
  expect(await readPrompts(temporary('prompts.txt'))).toEqual(['a cat', '“two” dogs']);
  writeFileSync(temporary('none.txt'), '\n \n');
  await expect(readPrompts(temporary('none.txt'))).rejects.toThrow('holds no prompts');
  writeFileSync(temporary('utf16.txt'), Buffer.from('\ufeffa cat\n', 'utf16le'));
  await expect(readPrompts(temporary('utf16.txt'))).rejects.toThrow('utf16.txt is no text in UTF-8.');
});

describe.each(['onnx', 'coreml'] as const)('a safety checker in %s', (target) => {
  let folder = '';

  beforeAll(async () => {
    folder = temporary(`safe ${target}`);
    const modelVersion = join(import.meta.dirname, '../fixtures/safety-checker');
    const output = temporary(`checker ${target}`);
    await convertCheckpoint({ modelVersion, output, precision: 'float32', targets: [target], bundle: false });
    // The checker beside the others; their sdconvert.json says how to draw.
    const models = (from: string) => (target === 'onnx' ? join(from, 'onnx') : from);
    const ours = (path: string) => !/Resources$|onnx$/.test(path) || target === 'onnx';
    cpSync(models(input), folder, { recursive: true, filter: ours });
    cpSync(models(output), folder, { recursive: true, filter: (path) => !path.endsWith('sdconvert.json') });
  });

  test('withholds what diffusers withholds, and says so', async () => {
    const { requests, pictures, withheld } = await readSafety();
    for (const [i, { prompt, seed, steps, guidance_scale: guidanceScale }] of requests.entries()) {
      const options = { input: folder, prompt, seed, steps, guidanceScale, rng: 'torch' } as const;
      const notes: string[] = [];
      const [image] = await draw(options, notes);
      expect(image?.kind === 'picture' && image.isWithheld).toBe(withheld[i]);
      const size = pictures.length / requests.length;
      const expected = pictures.subarray(i * size, (i + 1) * size);
      const found = pixels(image);
      expect(
        Math.max(...Array.from(expected, (byte, at) => Math.abs(byte - (found[at] ?? 0)))),
      ).toBeLessThanOrEqual(1);
      expect(notes.some((note) => note.includes('the safety checker withheld 1 of 1 pictures'))).toBe(
        withheld[i],
      );
      if (!withheld[i]) continue;
      const [shown] = await draw({ ...options, disableSafety: true });
      expect(pixels(shown).some((byte) => byte > 0)).toBe(true);
    }
  });

  test('withholds all, and says so, where its weights are no numbers', async () => {
    const damaged = temporary(`damaged ${target}`);
    cpSync(folder, damaged, { recursive: true });
    for (const file of weightFiles(damaged)) {
      const bytes = readFileSync(file);
      bytes.fill(0xff, Math.floor(bytes.length / 8) * 4, Math.floor(bytes.length / 8) * 4 + 64);
      writeFileSync(file, bytes);
    }
    const notes: string[] = [];
    const [image] = await draw({ input: damaged, prompt: 'a red circle' }, notes);
    expect(image?.kind === 'picture' && image.isWithheld).toBe(true);
    expect(pixels(image).every((byte) => byte === 0)).toBe(true);
    // For ONNX there are no scores to tell the one from the other.
    const why = target === 'onnx' ? 'withheld 1 of 1 pictures' : 'gave no numbers for 1 of 1 pictures';
    expect(notes).toContainEqual(expect.stringContaining(`the safety checker ${why}`));
  });
});

/** The files that hold the weights of the safety checker. */
function weightFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => /safety_checker.*(model\.onnx_data|weight\.bin)$/.test(name))
    .map((name) => join(folder, name));
}

async function draw(
  options: Omit<GenerateOptions, 'input'> & { readonly input?: string },
  notes: string[] = [],
) {
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'note') notes.push(event.message);
  };
  return generate(
    { input, output: temporary(`pictures ${pictureFolders++}`), ...shared, ...options },
    { onProgress },
  );
}

function names(images: Awaited<ReturnType<typeof draw>>): string[] {
  return images.map(({ path }) => basename(path));
}

/** What a file says of how it was drawn. */
function recordOf(image: { readonly path: string } | undefined): string {
  return textsIn(readFileSync(image?.path ?? '')).parameters ?? '';
}

function pixels(image: { readonly path: string } | undefined): Uint8Array {
  const path = image?.path ?? '';
  return decodePng(readFileSync(path), path).data;
}

interface SafetyRequest {
  readonly prompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance_scale: number;
}

async function readSafety() {
  const file = await openSafetensors(join(import.meta.dirname, '../goldens/pictures/safety.safetensors'));
  const bytes = async (name: string) => {
    const weight = file.weights.get(name);
    const read = weight && (await readTensor(weight, weight.dtype));
    return read?.dtype === 'u8' || read?.dtype === 'bool' ? read.data : new Uint8Array();
  };
  const [pictures, flags] = [await bytes('pictures'), await bytes('withheld')];
  await file.close();
  // as: record_pictures.py writes a list of these.
  const requests = JSON.parse(file.metadata.requests ?? '[]') as SafetyRequest[];
  return { requests, pictures, withheld: Array.from(flags, (flag) => flag !== 0) };
}
