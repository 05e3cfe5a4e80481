import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import type { GenerateOptions } from '../../src/commands/drawing/request.ts';
import { generate } from '../../src/commands/generate.ts';
import { decodePng, encodePng } from '../../src/generate/png.ts';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import { sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// Whole drawings of diffusers, from a prompt and a seed to bytes (test/python/record_drawings.py).

const goldens = join(import.meta.dirname, '../goldens/drawings');
const fixtures = join(import.meta.dirname, '../fixtures');
const temporary = temporaryFolder();
const pictures = () => temporary('pictures');

describe.each(['onnx', 'coreml'] as const)(
  'Stable Diffusion XL in %s draws what diffusers draws',
  (target) => {
    let input = '';

    beforeAll(async () => {
      mkdirSync(pictures(), { recursive: true });
      input = temporary(`sdxl ${target}`);
      const modelVersion = join(fixtures, 'sdxl');
      await convertCheckpoint({ modelVersion, output: input, precision: 'float32', targets: [target] });
    });

    test('without a negative prompt', async () => {
      await expectSame('sdxl', { input });
    });

    test('with an empty negative prompt, told another size and a crop', async () => {
      await expectSame('sdxl_sizes', { input, negativePrompt: '', originalSize: [96, 160], crop: [8, 16] });
    });
  },
);

describe('drawing begins with a picture as diffusers has it', () => {
  let [xl, shapes] = ['', ''];

  beforeAll(async () => {
    [xl, shapes] = [temporary('xl'), temporary('shapes')];
    const all = { precision: 'float32', targets: ['onnx'] } as const;
    await convertCheckpoint({ ...all, modelVersion: join(fixtures, 'sdxl'), output: xl });
    await convertCheckpoint({ ...all, modelVersion: sdShapes, output: shapes });
  });

  test.each([0.6, 1])('Stable Diffusion 1.x, at a strength of %d', async (strength) => {
    const name = `sd-shapes_image_${strength.toFixed(1)}`;
    await expectSame(name, { input: shapes, negativePrompt: 'a square', strength });
  });

  test('Stable Diffusion XL', async () => {
    await expectSame('sdxl_image', { input: xl, strength: 0.5 });
  });

  test('a strength that leaves no step, a picture of another size and no picture are refused', async () => {
    const { begin } = await readGolden('sdxl_image');
    const image = begin && pngOf('large', begin);
    const own = (await readGolden('sd-shapes_image_0.6')).begin;
    const options = { input: shapes, prompt: 'a', steps: 8, output: pictures() };
    await expect(generate({ ...options, image, height: 64, width: 64 })).rejects.toThrow(
      'does not have the size of the picture',
    );
    await expect(generate({ ...options, image: own && pngOf('own', own), strength: 0.1 })).rejects.toThrow(
      'a strength of 0.1 leaves none of the 8 steps to run.',
    );
    await expect(generate({ ...options, image: import.meta.filename })).rejects.toThrow('PNG');
  });
});

/** Draws what a golden says; bytes may be off by one here and there: what is left is float32 rounding. */
async function expectSame(name: string, options: Omit<GenerateOptions, 'prompt'>): Promise<void> {
  const { expected, begin, request } = await readGolden(name);
  const [image] = await generate({
    prompt: String(request.prompt),
    seed: Number(request.seed),
    steps: Number(request.steps),
    guidanceScale: Number(request.guidance_scale),
    rng: 'torch',
    output: pictures(),
    ...(begin && { image: pngOf(name, begin) }),
    ...options,
  });
  const path = image?.path ?? '';
  const found = decodePng(readFileSync(path), path).data;
  const differences = Array.from(expected, (byte, i) => Math.abs(byte - (found[i] ?? Number.NaN)));
  expect(Math.max(...differences)).toBeLessThanOrEqual(1);
  expect(differences.filter((each) => each > 0).length).toBeLessThanOrEqual(expected.length / 100);
}

async function readGolden(name: string) {
  const file = await openSafetensors(join(goldens, `${name}.safetensors`));
  const bytes = async (tensor: string) => {
    const weight = file.weights.get(tensor);
    const read = weight && (await readTensor(weight, weight.dtype));
    return read?.dtype === 'u8' ? read.data : undefined;
  };
  const [expected = new Uint8Array(), begin] = [await bytes('image'), await bytes('begin')];
  await file.close();
  // as: record_drawings.py writes an object.
  const request = JSON.parse(file.metadata.request ?? '{}') as Record<string, unknown>;
  return { expected, begin, request };
}

/** A square picture as a file. */
function pngOf(name: string, data: Uint8Array): string {
  const side = Math.sqrt(data.length / 3);
  const path = join(pictures(), `${name}.begin.png`);
  mkdirSync(pictures(), { recursive: true });
  writeFileSync(path, encodePng({ width: side, height: side, channels: 3, data }));
  return path;
}
