import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import type { GenerateOptions } from '../../src/commands/drawing/request.ts';
import { generate } from '../../src/commands/generate.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { expectDrawn, type GivenOptions } from '../support/drawing-goldens.ts';
import { sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// Prompts that are read in other ways than usual, as diffusers draws them (test/python/record_prompts.py).

const goldens = join(import.meta.dirname, '../goldens/prompts');
const temporary = temporaryFolder();
const pictures = () => temporary('pictures');
const inversion = (name: string) => join(goldens, `inversion_${name}.safetensors`);

describe.each(['onnx', 'coreml'] as const)('prompts in %s', (target) => {
  let [shapes, xl] = ['', ''];

  beforeAll(async () => {
    [shapes, xl] = [temporary(`shapes ${target}`), temporary(`xl ${target}`)];
    const all = { precision: 'float32', targets: [target] } as const;
    await convertCheckpoint({ ...all, modelVersion: sdShapes, output: shapes });
    const modelVersion = join(import.meta.dirname, '../fixtures/sdxl');
    await convertCheckpoint({ ...all, modelVersion, output: xl });
  });

  test.each([1, 3])('with %d layers skipped', async (clipSkip) => {
    await expectSame(`sd-shapes_skip_${clipSkip}`, { input: shapes, clipSkip });
  });

  test('with two layers of both encoders of Stable Diffusion XL skipped', async () => {
    await expectSame('sdxl_skip_2', { input: xl, clipSkip: 2 });
  });

  test('with weights', async () => {
    await expectSame('sd-shapes_weights', { input: shapes, promptWeights: true });
  });

  test('with textual inversions of one encoder and of two', async () => {
    const textualInversions = [{ file: inversion('sd-shapes') }];
    await expectSame('sd-shapes_inversion', { input: shapes, textualInversions });
    const both = [{ file: inversion('sdxl'), token: '<lichen>' }];
    await expectSame('sdxl_inversion', { input: xl, textualInversions: both });
  });

  test('of more than 75 tokens are drawn whole where the UNet takes them, else refused', async () => {
    const drawn = expectSame('sd-shapes_long', { input: shapes, longPrompts: true });
    if (target === 'onnx') await drawn;
    else await expect(drawn).rejects.toThrow('the prompt takes 2 × 77 tokens, but the UNet takes 77.');
  });

  test('that are too long lose their end, which is told; what cannot be read is refused', async () => {
    const prompt = `${'a red circle '.repeat(25)}on a blue square`;
    expect(await notesOf({ input: shapes, prompt })).toEqual([
      'the prompt has more than 75 tokens: “on a blue square” was cut off. Pass --long-prompts to keep it.',
    ]);
    const draw = (options: Partial<GenerateOptions>) => notesOf({ input: shapes, prompt: 'a', ...options });
    const file = inversion('sdxl');
    await expect(draw({ textualInversions: [{ file }] })).rejects.toThrow(
      'is for the two text encoders of Stable Diffusion XL',
    );
    const own = { file: inversion('sd-shapes') };
    await expect(draw({ textualInversions: [own, own] })).rejects.toThrow(
      'two textual inversions are called',
    );
    await expect(draw({ textualInversions: [{ ...own, token: 'circle' }] })).rejects.toThrow(
      "circle is already in the tokenizer's vocabulary",
    );
    await expect(draw({ clipSkip: 5 })).rejects.toThrow('5 layers of');
  });
});

function expectSame(name: string, options: Omit<GivenOptions, 'output'>): Promise<void> {
  return expectDrawn(goldens, name, { output: pictures(), ...options });
}

async function notesOf(options: GenerateOptions): Promise<string[]> {
  const notes: string[] = [];
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'note') notes.push(event.message);
  };
  await generate({ seed: 7, steps: 1, output: pictures(), ...options }, { onProgress });
  return notes;
}
