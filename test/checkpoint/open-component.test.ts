import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { openComponent } from '../../src/checkpoint/open-component.ts';
import { NotFoundError, UnsupportedModelError } from '../../src/errors.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

const checkpoint = 'test/fixtures/sd15-wide-f16';

test.for([
  ['its own folder', join(checkpoint, 'vae')],
  ['the folder of a checkpoint', checkpoint],
] as const)('a VAE is opened from %s', async ([, path]) => {
  const vae = await openComponent(path, { as: 'vae' });
  expect(vae).toMatchObject({ name: 'vae', className: 'AutoencoderKL', notes: [] });
  expect(vae.configFile).toBe(join(checkpoint, 'vae', 'config.json'));
  expect(vae.weights.size).toBe(244);
  await vae.close();
});

test('a VAE is opened from a file with diffusers’ names, with the config of the family that it is for', async () => {
  const path = join(checkpoint, 'vae', 'diffusion_pytorch_model.safetensors');
  for (const [family, scale] of [
    ['sd1', 0.18215],
    ['sdxl', 0.13025],
  ] as const) {
    const vae = await openComponent(path, { as: 'vae', family });
    expect(vae.config).toMatchObject({ scaling_factor: scale, block_out_channels: [64, 64, 96, 96] });
    expect(vae.adapted).toBe(true);
    await vae.close();
  }
});

test('a tiny VAE is a VAE', async () => {
  const vae = await openComponent('test/fixtures/tiny-autoencoder', { as: 'vae' });
  expect(vae.className).toBe('AutoencoderTiny');
  await vae.close();
});

test('a UNet is opened from its folder, and from its file', async () => {
  for (const path of ['unet', 'unet/diffusion_pytorch_model.safetensors']) {
    const unet = await openComponent(join(checkpoint, path), { as: 'unet' });
    expect(unet.config).toMatchObject({ block_out_channels: [64, 96, 128, 128], attention_head_dim: 8 });
    await unet.close();
  }
});

test('a ControlNet is opened from its folder, and from its file, as the same network', async () => {
  const folder = 'test/fixtures/controlnet-sd15';
  const fromFolder = await openComponent(folder, { as: 'controlnet' });
  const fromFile = await openComponent(join(folder, 'diffusion_pytorch_model.safetensors'), {
    as: 'controlnet',
  });
  expect([...fromFile.weights.keys()]).toEqual([...fromFolder.weights.keys()]);
  const both = Object.keys(fromFile.config).filter((key) => key in fromFolder.config);
  const picked = (config: object) =>
    Object.fromEntries(Object.entries(config).filter(([key]) => both.includes(key)));
  expect(picked(fromFile.config)).toMatchObject({ conditioning_embedding_out_channels: [8, 16, 24, 32] });
  expect({ ...picked(fromFile.config), _diffusers_version: '' }).toEqual({
    ...picked(fromFolder.config),
    _diffusers_version: '',
  });
  await fromFolder.close();
  await fromFile.close();
});

test.for([
  ['a path that leads nowhere', 'nowhere', NotFoundError, 'does not exist'],
  ['a folder without config.json', 'test/fixtures', NotFoundError, 'is not the folder of a ControlNet'],
  ['a checkpoint without one', checkpoint, NotFoundError, 'is a checkpoint without a ControlNet'],
  [
    'the folder of a VAE',
    join(checkpoint, 'vae'),
    UnsupportedModelError,
    'is a VAE alone, but a ControlNet is needed there',
  ],
  [
    'the file of a VAE',
    join(checkpoint, 'vae', 'diffusion_pytorch_model.safetensors'),
    UnsupportedModelError,
    'is a VAE alone, but a ControlNet is needed there',
  ],
] as const)('%s is no ControlNet', async ([, path, kind, problem]) => {
  const error = await rejectionOf(openComponent(path, { as: 'controlnet' }));
  expect(error).toBeInstanceOf(kind);
  expect(error.problem).toContain(problem);
  expect(error.advice).toBeTruthy();
});

test('the file of a tiny VAE is recognised, and its folder asked for', async () => {
  const path = 'test/fixtures/tiny-autoencoder/vae/diffusion_pytorch_model.safetensors';
  const error = await rejectionOf(openComponent(path, { as: 'vae' }));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toContain('is a tiny autoencoder (TAESD) alone');
  expect(error.advice).toContain('config.json');
});

test('a checkpoint without a VAE is not told to be converted where a VAE is needed', async () => {
  await writeSafetensors(at('unet.safetensors'), [
    {
      name: 'model.diffusion_model.input_blocks.0.0.weight',
      dtype: 'f32',
      shape: [1, 4],
      data: new Float32Array(4),
    },
  ]);
  const error = await rejectionOf(openComponent(at('unet.safetensors'), { as: 'vae' }));
  expect(error.problem).toContain(
    'is a checkpoint in a single file, but a VAE is needed there: it has none.',
  );
  expect(error.advice).toBe('Give the folder or the file of a VAE.');
});

test('a file without tensors is said to have none', async () => {
  await writeSafetensors(at('nothing.safetensors'), []);
  const error = await rejectionOf(openCheckpoint(at('nothing.safetensors')));
  expect(error.problem).toBe(`${at('nothing.safetensors')} has no tensors.`);
  expect(error.details).toEqual({});
});
