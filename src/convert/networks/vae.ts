import type { Component } from '../../checkpoint/checkpoint.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { withPresentNames } from '../names/old-vae-attention.ts';
import type { Traits } from '../traits.ts';
import { networkCard } from './card.ts';
import { latents, onlyCase, picture } from './realistic.ts';
import { trainedFactors } from './vae-variant.ts';
import { vaeVariant } from './vae-variants.ts';

/** Facts that encoder and decoder share. */
const shared = {
  component: 'vae',
  fewerBits: false,
  presentNames: withPresentNames,
  read: (component: Component) => vaeVariant(component).open(component),
  needsFloat32: (component: Component, { isXl }: Traits) =>
    isXl && vaeVariant(component).overflowsInXl(component.config)
      ? 'The VAE of Stable Diffusion XL overflows float16.'
      : undefined,
} as const;

/** The VAE's decoder: denoised latents, already divided by the scaling factor, to a picture. */
export const vaeDecoderCard = networkCard({
  ...shared,
  part: 'vae_decoder',
  title: 'the VAE decoder',
  shortDescription: 'Turns latents into a picture.',
  swiftName: 'VAEDecoder',
  marks: ['latent_sample'],
  settings: { scalingFactor: 'scaling_factor' },
  ignored: (component) => [
    { names: /^(encoder|quant_conv)\./, reason: 'belongs to the VAE encoder' },
    ...vaeVariant(component).ignored,
  ],
  inputs: {
    z: {
      optimum: 'latent_sample',
      apple: 'z',
      axes: ['batch', 'latentChannels', 'latentHeight', 'latentWidth'],
      text: 'Latents without noise, divided by the scaling factor of the model',
    },
  },
  outputs: { image: { optimum: 'sample', apple: 'image', text: 'The picture, with values from -1 to 1' } },
  dims: ({ latent_channels }, { contract, sizes }) => ({
    batch: contract.rows(1),
    latentChannels: latent_channels,
    latentHeight: contract.size(sizes.latentHeight, 'latent_height'),
    latentWidth: contract.size(sizes.latentWidth, 'latent_width'),
  }),
  forward: (at, { z }: { readonly z: Tensor }, vae) => ({ image: vae.decode(at, z) }),
  cases: (rng, sizes, { scalingFactor = trainedFactors.sd }) =>
    onlyCase('latents', ['latent_sample', latents(rng, sizes, 1 / scalingFactor)]),
});

/** The VAE's encoder: a picture to the mean and the log variance of its latents, unscaled. */
export const vaeEncoderCard = networkCard({
  ...shared,
  part: 'vae_encoder',
  title: 'the VAE encoder',
  shortDescription: 'Turns a picture into the distribution of its latents.',
  swiftName: 'VAEEncoder',
  marks: ['sample'],
  settings: {},
  ignored: () => [{ names: /^(decoder|post_quant_conv)\./, reason: 'belongs to the VAE decoder' }],
  inputs: {
    x: {
      optimum: 'sample',
      apple: 'x',
      recorded: ['image'], // in Core AI
      axes: ['batch', 'colours', 'height', 'width'],
      text: 'The picture, with values from -1 to 1',
    },
  },
  outputs: {
    latent: {
      optimum: 'latent_parameters',
      apple: 'latent',
      recorded: ['latent_params'], // in Core AI
      text: 'Mean, then logarithm of the variance of the latents, before scaling',
    },
  },
  dims({ in_channels, factor }, { contract, sizes: { latentHeight, latentWidth } }) {
    const pixels = (latent: number | undefined) => (latent === undefined ? undefined : latent * factor);
    return {
      batch: contract.rows(1),
      colours: in_channels,
      height: contract.size(pixels(latentHeight), 'sample_height'),
      width: contract.size(pixels(latentWidth), 'sample_width'),
    };
  },
  forward: (at, { x }: { readonly x: Tensor }, vae) => ({ latent: vae.encode(at, x) }),
  cases: (rng, { batch, colours, height, width }) =>
    onlyCase('picture', ['sample', picture(rng, [batch, colours, height, width])]),
});
