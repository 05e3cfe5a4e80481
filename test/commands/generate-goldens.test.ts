import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { generate } from '../../src/commands/generate.ts';
import { expectDrawn, type GivenOptions, readDrawing, writeSquare } from '../support/drawing-goldens.ts';
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
    const { begin } = await readDrawing(goldens, 'sdxl_image');
    const image = begin && writeSquare(pictures(), 'large', begin);
    const own = (await readDrawing(goldens, 'sd-shapes_image_0.6')).begin;
    const options = { input: shapes, prompt: 'a', steps: 8, output: pictures() };
    await expect(generate({ ...options, image, height: 64, width: 64 })).rejects.toThrow(
      'does not have the size of the picture',
    );
    await expect(
      generate({ ...options, image: own && writeSquare(pictures(), 'own', own), strength: 0.1 }),
    ).rejects.toThrow('a strength of 0.1 leaves none of the 8 steps to run.');
    await expect(generate({ ...options, image: import.meta.filename })).rejects.toThrow('PNG');
  });
});

function expectSame(name: string, options: Omit<GivenOptions, 'output'>): Promise<void> {
  return expectDrawn(goldens, name, { output: pictures(), ...options });
}
