import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { pixelsOf } from '../../src/generate/image-tensor.ts';
import { runInTiles } from '../../src/generate/run-in-tiles.ts';
import { readSafetensors } from '../../src/index.ts';
import { openNetwork } from '../../src/run/open-network.ts';
import { psnr } from '../../src/validate/psnr.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { writeModels } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const temporary = temporaryFolder();
const recorded = readSafetensors(
  fileURLToPath(new URL('../goldens/pictures/tiles_15x11.safetensors', import.meta.url)),
);

/** Of `models/sd-shapes`, by its sample_size. */
const decoderTiles = { input: 8, output: 64 };

test('a VAE decodes and encodes in tiles what diffusers does', async () => {
  const folder = await writeModels(temporary('vae'), { models: ['vae_decoder', 'vae_encoder'] });
  const decoded = await inTiles(
    `${folder}/vae_decoder`,
    'latent_sample',
    await float32('latents'),
    decoderTiles,
  );
  // Measured: see the floor; float32 arithmetic in another order.
  expect(psnr((await float32('decoded')).data, decoded.data)).toBeGreaterThan(110);

  const picture = (await recorded).get('picture');
  const [height = 0, width = 0] = picture?.shape ?? [];
  if (picture?.dtype !== 'u8') throw new Error('not recorded');
  const image = pixelsOf({ width, height, channels: 3, data: picture.data });
  const encoderTiles = { input: decoderTiles.output, output: decoderTiles.input };
  const encoded = await inTiles(`${folder}/vae_encoder`, 'sample', image, encoderTiles);
  expect(psnr((await float32('encoded')).data, encoded.data)).toBeGreaterThan(110);
});

test('what fits in one tile is run once', async () => {
  const tile = { dtype: 'f32', shape: [1, 1, 2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) } as const;
  let runs = 0;
  const same = await runInTiles(tile, { input: 3, output: 3 }, async (each) => {
    runs++;
    return each;
  });
  expect([same, runs]).toEqual([tile, 1]);
});

async function inTiles(path: string, name: string, input: TensorData<'f32'>, sizes: typeof decoderTiles) {
  const network = await openNetwork([`${path}/model.onnx`], { optimize: true });
  try {
    return await runInTiles(input, sizes, async (tile) => {
      const [output] = (await network.run(new Map([[name, tile]]))).values();
      if (output?.dtype !== 'f32') throw new Error('no output');
      return output;
    });
  } finally {
    await network.close();
  }
}

async function float32(name: string): Promise<TensorData<'f32'>> {
  const tensor = (await recorded).get(name);
  if (tensor?.dtype !== 'f32') throw new Error('not recorded');
  return tensor;
}
