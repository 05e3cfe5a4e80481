import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import type { GenerateOptions } from '../../src/commands/drawing/request.ts';
import { generate } from '../../src/commands/generate.ts';
import { inspect } from '../../src/commands/inspect.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { encodePng } from '../../src/generate/png.ts';
import { convertDrawingCheckpoint, SIDE } from '../support/drawing-checkpoints.ts';
import { writeModels } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const temporary = temporaryFolder();

describe('what cannot be drawn is refused in a sentence before a model is loaded', () => {
  let [onnx, packages, otherFamily] = ['', '', ''];
  let [own, small, text] = ['', '', ''];

  beforeAll(async () => {
    onnx = await convertDrawingCheckpoint(temporary('onnx'), 'plain', { target: 'onnx' });
    packages = await convertDrawingCheckpoint(temporary('coreml'), 'plain', { target: 'coreml' });
    const from = join(import.meta.dirname, '../fixtures/variants/controlnet-xl');
    otherFamily = join(await writeModels(temporary('other'), { from, models: ['controlnet'] }), 'controlnet');
    [own, small, text] = [
      square('own', SIDE),
      square('small', SIDE / 2),
      join(temporary('pictures'), 'text.png'),
    ];
    writeFileSync(text, 'no picture');
  });

  test('a picture or mask of another size, that is no picture, or is not there; a strength that leaves no step', async () => {
    await refused({ image: own, mask: small }, `${small} does not have the size of the picture to generate.`);
    await refused({ image: text }, `${text} is not a valid PNG file.`);
    await refused({ image: `${own}.not` }, `${own}.not does not exist.`);
    await refused({ image: own, strength: 0.1 }, 'a strength of 0.1 leaves none of the 2 steps to run.');
    await refused({ mask: own }, 'a mask selects what to redraw of a picture, but there is no picture.');
  });

  test.each([
    [{ imageCount: 1e9 }, '--image-count 1000000000 is out of range.'],
    [{ imageCount: 1.5 }, '--image-count 1.5 is out of range.'],
    [{ guidanceScale: 1e39 }, '--guidance-scale 1e+39 is out of range.'],
    [{ imageGuidanceScale: -1e39 }, '--image-guidance-scale -1e+39 is out of range.'],
    [{ controlnets: [{ name: 'a', image: 'b', scale: 1e39 }] }, '--controlnet-scale 1e+39 is out of range.'],
    [{ crop: [1e9, 0] as const }, '--crop 1000000000 is out of range.'],
    [{ originalSize: [1e9, 8] as const }, '--original-size 1000000000 is out of range.'],
  ])('a number that nothing can be drawn with: %j', async (wrong, sentence) => {
    await refused(wrong, sentence);
  });

  test('what XL for Core AI has inside of its models', async () => {
    const input = temporary('xl');
    const modelVersion = join(import.meta.dirname, '../fixtures/sdxl');
    await convertCheckpoint({ modelVersion, targets: ['coreai'], output: input });
    await refused(
      { input, clipSkip: 1 },
      '--clip-skip changes what Stable Diffusion XL for Core AI has inside',
    );
    await refused({ input, crop: [8, 0] }, '--crop changes what');
    await refused({ input, promptWeights: true }, 'or convert with --target onnx as well');
    const { next } = await inspect({ path: input });
    expect(next).toEqual({
      command: `sdconvert generate -i ${input} --prompt 'an astronaut riding a horse'`,
    });
  });

  test('a size that packages do not have, which names the one they have', async () => {
    await refused({ input: packages, height: 128 }, 'the UNet has a fixed size, which is not 128 × 64.');
    await refused({ input: packages, height: 128 }, '64 × 64 pixels');
    await refused({ input: packages, image: small }, `${small} does not have the size of the picture`);
  });

  test('tiles of a VAE that was converted for one size, which is larger than a tile', async () => {
    // drawing/vae was trained on 64 pixels, as large as the packages are; half of that makes tiles.
    const output = temporary('tiled');
    cpSync(packages, output, { recursive: true });
    mkdirSync(join(output, 'vae_decoder'));
    writeFileSync(join(output, 'vae_decoder/config.json'), JSON.stringify({ sample_size: SIDE / 2 }));
    await refused({ input: output, vaeTiling: true }, 'was converted for one size, and takes no tiles.');
  });

  test('a ControlNet that is not there, is for another family, is none, or applies to no step', async () => {
    const controlled = (name: string, more = {}) => ({ controlnets: [{ name, image: own, ...more }] });
    await refused(controlled('canny'), `there is no ControlNet canny in ${join(onnx, 'onnx')}.`);
    await refused(controlled('canny'), 'controlnet, controlnet_1');
    await refused(controlled(otherFamily), `${otherFamily} is a ControlNet of another family than the UNet.`);
    await refused(controlled(join(onnx, 'onnx/unet')), `${join(onnx, 'onnx/unet')} is no ControlNet.`);
    await refused(
      controlled('controlnet', { start: 0.7, end: 0.7 }),
      'cannot apply from 0.7 to 0.7 of the steps',
    );
  });

  test('a ControlNet without a UNet that takes its residuals', async () => {
    const input = await writeModels(temporary('uncontrolled'), { models: ['unet'] });
    await refused(
      { input, controlnets: [{ name: 'controlnet', image: own }] },
      'has no UNet that takes the residuals of a ControlNet.',
    );
  });

  test('sizes that only Stable Diffusion XL is conditioned on', async () => {
    const sentence = 'only Stable Diffusion XL is told an original size and a crop; this is';
    await refused({ originalSize: [64, 64] }, sentence);
    await refused({ crop: [0, 8] }, sentence);
  });

  test('a refiner for a family that has none', async () => {
    await refused({ refinerStart: 0.8 }, 'only Stable Diffusion XL has a refiner.');
  });

  test('a refiner that takes over before a picture to start from has its first step, of any compared scheduler', async () => {
    const input = await convertDrawingCheckpoint(temporary('xl'), 'xl', { target: 'onnx' });
    const begun = { input, image: own, steps: 10, refinerStart: 0.5 };
    const sentence = 'a refiner that starts at 0.5 leaves no step for one of the two models.';
    await refused({ ...begun, strength: 0.3 }, sentence);
    await refused({ ...begun, strength: 0.3 }, '0 for the base model, 5 for the refiner');
    // Of four steps, LCM's first is at 999 and DDIM's at 750.
    const compared = { input, steps: 4, refinerStart: 0.2, compareSchedulers: ['lcm', 'ddim'] };
    await refused(compared, 'a refiner that starts at 0.2 leaves no step for one of the two models.');
    await refused(compared, 'for the refiner (ddim)');
  });

  test('a scheduler that nobody knows, or that cannot predict what the model predicts', async () => {
    await refused({ scheduler: 'fastest' }, 'fastest');
    await refused({ scheduler: 'flow_euler' }, 'FlowMatchEulerDiscreteScheduler cannot');
  });

  test('a network that is missing', async () => {
    rmSync(join(onnx, 'onnx/vae_encoder'), { recursive: true });
    await refused({ image: own }, `${join(onnx, 'onnx')} has no vae_encoder.`);
  });

  async function refused(options: Partial<GenerateOptions>, sentence: string): Promise<void> {
    const request = { input: onnx, output: temporary('drawn'), prompt: 'a', seed: 1, steps: 2, ...options };
    const stages: string[] = [];
    const onProgress = (event: ProgressEvent) => {
      if (event.type === 'stage') stages.push(event.stage);
    };
    await expect(generate(request, { onProgress })).rejects.toThrow(sentence);
    expect(stages, 'nothing was loaded').toEqual([]);
  }
});

/** A grey PNG. */
function square(name: string, side: number): string {
  const path = join(temporary('pictures'), `${name}.png`);
  mkdirSync(temporary('pictures'), { recursive: true });
  const data = new Uint8Array(side * side * 3).fill(99);
  writeFileSync(path, encodePng({ width: side, height: side, channels: 3, data }));
  return path;
}
