import { expect, test } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { notesOn } from '../../src/convert/notes.ts';
import { fullSizeCheckpoint } from '../support/full-size.ts';

const both = { coreMl: true };

function withVae(base: 'sd15' | 'sdxl', from: 'sd15' | 'sdxl' | 'taesd', scale?: number): Checkpoint {
  const checkpoint = fullSizeCheckpoint(base);
  const vae = fullSizeCheckpoint(from).components.get('vae');
  if (!vae) throw new Error(`${from} has no VAE`);
  const config = scale === undefined ? vae.config : { ...vae.config, scaling_factor: scale };
  return { ...checkpoint, components: new Map(checkpoint.components).set('vae', { ...vae, config }) };
}

test.for([
  ['sd15', 'sd15'],
  ['sdxl', 'sdxl'],
] as const)('the VAE of %s in its own place needs no word', ([base, from]) => {
  expect(notesOn(withVae(base, from), ['unet', 'vae_decoder'], both)).toEqual([]);
});

test.for([
  ['sd15', 0.18215],
  ['sdxl', 0.13025],
] as const)(
  'with TAESD in %s, the app is told the scale that Apple’s package would miss',
  ([base, usual]) => {
    const checkpoint = withVae(base, 'taesd');
    expect(notesOn(checkpoint, ['vae_decoder'], both)).toEqual([
      `the VAE's scaling factor is 1, but Apple's Swift package uses ${usual} by default: set encoderScaleFactor and decoderScaleFactor to 1 in the app.`,
    ]);
    expect(notesOn(checkpoint, ['vae_decoder'], { coreMl: false })).toEqual([]);
    expect(notesOn(checkpoint, ['unet'], both)).toEqual([]);
  },
);

test('the VAE of another family is pointed out for every target', () => {
  for (const coreMl of [true, false]) {
    expect(notesOn(withVae('sdxl', 'sd15'), ['vae_decoder'], { coreMl })).toEqual([
      expect.stringContaining("with another family's VAE the pictures are wrong"),
    ]);
  }
});

test('a ControlNet beside a UNet that does not listen to it is pointed out', () => {
  const checkpoint = fullSizeCheckpoint('sd15');
  const [note] = notesOn(checkpoint, ['controlnet', 'unet'], both);
  expect(note).toContain('--unet-support-controlnet');
  expect(notesOn(checkpoint, ['controlnet', 'control-unet'], both)).toEqual([]);
  expect(notesOn(checkpoint, ['controlnet_1'], both)).toEqual([]);
});
