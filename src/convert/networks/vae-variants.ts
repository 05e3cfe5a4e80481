import type { Component } from '../../checkpoint/checkpoint.ts';
import { latentScaleConfig, type ScaledVae } from '../config/latent-scale-config.ts';
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

/** What the kind of a VAE is derived from. */
export type VaeFacts = Pick<Component, 'config'> & Partial<Pick<Component, 'className'>>;

/** The kind of a VAE. The class in its config counts before the one in model_index.json, since users replace folders. */
export function vaeVariant({ config, className }: VaeFacts): VaeVariant {
  return variants.get(config._class_name ?? className) ?? autoencoderKl;
}

/** Scaling of a VAE's latents for the UNet: (latents − `shift`) · `factor`, or (latents − `mean`) · `factor` / `std`. */
export interface LatentScale {
  readonly factor: number;
  readonly shift: number;
  /** Mean and standard deviation of each channel, where the UNet was trained on latents without them (Playground 2.5). */
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
}

/** Scaling of a VAE's latents, from its config or from diffusers' defaults for its class. Throws `ConfigError` for impossible numbers. */
export function latentScaleOf(vae: VaeFacts & ScaledVae): LatentScale {
  const { scaling_factor, shift_factor, latents_mean: mean, latents_std: std } = latentScaleConfig(vae);
  return {
    factor: scaling_factor ?? vaeVariant(vae).defaultFactor,
    shift: shift_factor ?? 0,
    ...(mean && std && { mean, std }), // diffusers reads both or neither
  };
}
