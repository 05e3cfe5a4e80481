import type { Component } from '../../checkpoint/checkpoint.ts';
import { asymmetricAutoencoderKl } from './asymmetric-autoencoder-kl.ts';
import { autoencoderKl } from './autoencoder-kl.ts';
import { autoencoderTiny } from './autoencoder-tiny.ts';
import type { VaeVariant } from './vae-variant.ts';

/** The kinds of VAE, by their classes in diffusers. */
const variants: ReadonlyMap<unknown, VaeVariant> = new Map([
  ['AutoencoderKL', autoencoderKl],
  ['AutoencoderTiny', autoencoderTiny],
  ['AsymmetricAutoencoderKL', asymmetricAutoencoderKl],
]);

/** What says of which kind a VAE is. */
export type VaeFacts = Pick<Component, 'config'> & Partial<Pick<Component, 'className'>>;

/** The kind of a VAE. Its own config goes before model_index.json: a VAE's folder may have been exchanged. */
export function vaeVariant({ config, className }: VaeFacts): VaeVariant {
  return variants.get(config._class_name ?? className) ?? autoencoderKl;
}

/** What lies between a VAE's latents and a UNet's: the UNet's are (the VAE's − `shift`) · `factor`. */
export interface LatentScale {
  readonly factor: number;
  readonly shift: number;
}

/** How a VAE's latents are scaled: as its config says, else by diffusers' defaults for its class. */
export function latentScaleOf(vae: VaeFacts): LatentScale {
  const { scaling_factor: factor, shift_factor: shift } = vae.config;
  return {
    factor: typeof factor === 'number' ? factor : vaeVariant(vae).defaultFactor,
    shift: typeof shift === 'number' ? shift : 0,
  };
}
