import { expect, test } from 'vitest';
import { fullSizeComponents } from '../../benchmarks/full-size.ts';
import { makeFullSizeCheckpoint } from '../../benchmarks/make-full-size-checkpoint.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

test('what is made opens as a diffusers folder, in the dtype that was asked for', async () => {
  const folder = inFolder('small');
  const { text_encoder: text, unet, vae } = fullSizeComponents('sd15');
  const small = { 'conv_in.weight': [8, 4, 3, 3], 'conv_in.bias': [8] };
  await makeFullSizeCheckpoint(folder, 'f16', {
    text_encoder: { config: text?.config ?? {}, weights: small },
    unet: { config: unet?.config ?? {}, weights: small },
    vae: { config: vae?.config ?? {}, weights: small },
  });
  const checkpoint = await openCheckpoint(folder);
  try {
    expect([...checkpoint.components.keys()].sort()).toEqual(['text_encoder', 'unet', 'vae']);
    expect(checkpoint.components.get('unet')?.config).toEqual(unet?.config);
    expect(checkpoint.components.get('unet')?.weights.get('conv_in.weight')).toMatchObject({
      dtype: 'f16',
      shape: [8, 4, 3, 3],
    });
    expect([...checkpoint.folders.keys()].sort()).toEqual(['scheduler', 'tokenizer']);
  } finally {
    await checkpoint.close();
  }
});

test("the list it follows is Stable Diffusion 1.5's: 1,130 tensors, 4.27 GB in float32", () => {
  const shapes = Object.values(fullSizeComponents('sd15')).flatMap(({ weights }) => Object.values(weights));
  const elements = shapes.map((shape) => shape.reduce((product, size) => product * size, 1));
  expect(shapes).toHaveLength(1130);
  expect(elements.reduce((sum, count) => sum + count, 0) * 4).toBe(4_264_941_228);
});
