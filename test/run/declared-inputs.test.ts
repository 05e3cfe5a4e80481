import { expect, test } from 'vitest';
import { FileFormatError } from '../../src/errors.ts';
import { checkDeclaredInputs } from '../../src/run/declared-inputs.ts';

type Shapes = Readonly<Record<string, readonly (number | string)[]>>;

function check(shapes: Shapes): void {
  const inputs = Object.entries(shapes).map(([name, dims]) => ({ name, dims }));
  checkDeclaredInputs('m', inputs);
}

const unet = {
  sample: [2, 4, 64, 64],
  timestep: [2],
  encoder_hidden_states: [2, 768, 1, 77],
};

test.each<[string, Shapes]>([
  ['a UNet as Apple has it', unet],
  [
    'one of any size',
    { sample: ['batch', 4, 'height', ''], timestep: [], encoder_hidden_states: ['', '', 768] },
  ],
  ['one of XL, with its time ids in one row', { ...unet, time_ids: [12], text_embeds: [2, 1280] }],
  ['one for pictures of 8,192 pixels', { ...unet, sample: [2, 4, 1024, 1024] }],
  ['one with a long text', { ...unet, encoder_hidden_states: [2, 7700, 2048] }],
  ['a VAE encoder for them', { sample: [1, 3, 8192, 8192] }],
  ['a text encoder', { input_ids: [1, 77] }],
  ['somebody’s sound, whose input has the name of a picture', { sample: [1, 10_000_000] }],
  ['a model of any other kind', { tokens: [1, 131_072], mask: [1, 1, 8192, 8192] }],
])('inputs are taken of %s', (_, shapes) => {
  expect(() => check(shapes)).not.toThrow();
});

test.each<[string, Shapes]>([
  ['rows', { ...unet, sample: [3000, 4, 64, 64] }],
  ['rows of text in Apple’s layout', { ...unet, encoder_hidden_states: [3000, 768, 1, 77] }],
  ['pixels', { ...unet, sample: [1, 4, 1, 1025] }],
  ['tokens', { input_ids: [1, 2 ** 17] }],
  ['elements', { anything: [2 ** 15, 2 ** 15] }],
  ['nothing', { anything: [1, 0] }],
])('a number of %s that no model has is refused', (_, shapes) => {
  expect(() => check(shapes)).toThrow(FileFormatError);
  expect(() => check(shapes)).toThrow('m declares an input of a size that no model is made for.');
});
