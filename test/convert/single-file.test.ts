import { expect, test } from 'vitest';
import { readSingleFile } from '../../src/checkpoint/single-file/open-single-file.ts';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import { MissingWeightError } from '../../src/errors.ts';
import { printGraph } from '../../src/graph/print.ts';
import { headerFile, recordedPlaces, recordedSingleFile } from '../support/single-file.ts';
import { thrownBy } from '../support/thrown-by.ts';

const whole = { attention: 'ORIGINAL', sizes: {} } as const;

test.for([
  ['sd15', ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder']],
  ['sd21', ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder']],
  ['sdxl', ['text_encoder', 'text_encoder_2', 'unet', 'vae_decoder', 'vae_encoder']],
  ['sdxl-refiner', ['text_encoder_2', 'unet', 'vae_decoder', 'vae_encoder']],
] as const)(
  'the single file of %s converts at full size, every tensor used once',
  async ([name, networks]) => {
    const checkpoint = await readSingleFile(recordedSingleFile(name));
    for (const contract of [optimumContract, appleContract]) {
      const models = convert(checkpoint, { ...whole, contract });
      expect(models.map((model) => model.name)).toEqual(networks);
    }
  },
);

test.for([
  [9, 'inpainting'],
  [8, 'pix2pix'],
] as const)('a single file whose UNet reads %i channels converts (%s)', async ([channels]) => {
  const conv = 'model.diffusion_model.input_blocks.0.0.weight';
  const shapes = Object.entries(recordedPlaces('sd15')).map(([name, [shape]]) => [
    name,
    name === conv ? shape.with(1, channels) : shape,
  ]);
  const checkpoint = await readSingleFile(headerFile(Object.fromEntries(shapes)));
  const models = convert(checkpoint, { ...whole, contract: optimumContract, models: ['unet'] });
  expect(models).toHaveLength(1);
});

test('the graph does not depend on the order of the tensors in the file', async () => {
  const shapes = Object.entries(recordedPlaces('sd15')).map(([name, [shape]]) => [name, shape] as const);
  const [forward, backward] = await Promise.all(
    [shapes, shapes.toReversed()].map(async (entries) => {
      const checkpoint = await readSingleFile(headerFile(Object.fromEntries(entries)));
      const models = convert(checkpoint, { ...whole, contract: optimumContract });
      return models.map(({ graph }) => printGraph(graph));
    }),
  );
  expect(backward).toEqual(forward);
});

test.for([
  ['every other tensor', (_: string, at: number) => at % 2 === 0, 'time_embedding.linear_1.weight'],
  ['the second half', (_: string, at: number) => at >= 500, 'conv_in.weight'],
  ['the first half', (_: string, at: number) => at < 500, 'time_embedding.linear_1.weight'],
  ['no way up', (name: string) => !name.includes('output_blocks'), 'up_blocks.0.resnets.0.norm1.weight'],
  ['no way down', (name: string) => !name.includes('input_blocks'), 'conv_in.weight'],
  [
    'a block less',
    (name: string) => !name.includes('input_blocks.5.'),
    'down_blocks.1.resnets.1.norm1.weight',
  ],
] as const)('a file with %s is refused by naming a weight that it lacks', async ([, keep, missing]) => {
  const all = Object.entries(recordedPlaces('sd15')).filter(([name], at) => keep(name, at));
  const checkpoint = await readSingleFile(
    headerFile(Object.fromEntries(all.map(([name, [shape]]) => [name, shape]))),
  );
  const error = thrownBy(() =>
    convert(checkpoint, { ...whole, contract: optimumContract, models: ['unet'] }),
  );
  expect(error).toBeInstanceOf(MissingWeightError);
  expect(error.details.missing).toBe(missing);
});

test('a text encoder with fewer layers than usual converts, and that is said', async () => {
  const all = Object.entries(recordedPlaces('sd15')).filter(([name]) => !name.includes('.layers.11.'));
  const checkpoint = await readSingleFile(
    headerFile(Object.fromEntries(all.map(([name, [shape]]) => [name, shape]))),
  );
  expect(convert(checkpoint, { ...whole, contract: optimumContract, models: ['text_encoder'] })).toHaveLength(
    1,
  );
  expect(checkpoint.notes).toEqual(['The text encoder has 11 layers instead of the usual 12.']);
});
