import type { Component } from '../checkpoint/checkpoint.ts';
import type { Scope } from '../graph/scope.ts';
import type { Tensor } from '../graph/tensor.ts';
import { tinyAutoencoderConfig } from './config/tiny-autoencoder-config.ts';
import { vaeConfig } from './config/vae-config.ts';
import { tinyDecoder, tinyEncoder } from './tiny-autoencoder.ts';
import { vaeDecoder } from './vae-decoder.ts';
import { vaeEncoder } from './vae-encoder.ts';

/** A kind of VAE, as a contract sees it. */
export interface Vae {
  readonly in_channels: number;
  readonly latent_channels: number;
  /** How many pixels of a picture a latent is high and wide. */
  readonly factor: number;
  /** Latents [B,C,h,w] → a picture [B,3,H,W] in −1…1. */
  decode(at: Scope, z: Tensor): Tensor;
  /** A picture [B,3,H,W] in −1…1 → mean and log variance of its latents [B,2C,h,w]. */
  encode(at: Scope, x: Tensor): Tensor;
}

/** The VAE that a component's config describes. Throws `ConfigError`. */
export function vaeOf(component: Component): Vae {
  return vaeClass(component) === 'AutoencoderTiny' ? autoencoderTiny(component) : autoencoderKl(component);
}

type VaeFacts = Pick<Component, 'config'> & Partial<Pick<Component, 'className'>>;

/** What diffusers calls the kind of VAE. Its own config goes before model_index.json: a VAE's folder may have been exchanged. */
export function vaeClass({ config, className }: VaeFacts): unknown {
  return config._class_name ?? className;
}

/** What lies between a VAE's latents and a UNet's: the UNet's are (the VAE's − `shift`) · `factor`. */
export interface LatentScale {
  readonly factor: number;
  readonly shift: number;
}

/**
 * 1 / the standard deviation of the latents that each family's UNet was trained on: 1.x and 2.x (Rombach et al. 2022,
 * appendix G), XL (Podell et al. 2023). The first is also diffusers' default for a VAE's config.
 */
export const trainedFactors = { sd: 0.18215, xl: 0.13025 } as const;

/** How a VAE's latents are scaled: as its config says, else by diffusers' defaults for its class. */
export function latentScaleOf(vae: VaeFacts): LatentScale {
  const { scaling_factor: factor, shift_factor: shift } = vae.config;
  const usual = vaeClass(vae) === 'AutoencoderTiny' ? 1 : trainedFactors.sd;
  return {
    factor: typeof factor === 'number' ? factor : usual,
    shift: typeof shift === 'number' ? shift : 0,
  };
}

function autoencoderKl(component: Component): Vae {
  const config = vaeConfig(component);
  return {
    ...config,
    factor: 2 ** (config.block_out_channels.length - 1),
    decode: (at, z) => vaeDecoder(at, z, config),
    encode: (at, x) => vaeEncoder(at, x, config),
  };
}

function autoencoderTiny(component: Component): Vae {
  const config = tinyAutoencoderConfig(component);
  return {
    ...config,
    factor: 2 ** (config.num_encoder_blocks.length - 1),
    decode: (at, z) => tinyDecoder(at, z, config),
    encode: (at, x) => tinyEncoder(at, x, config),
  };
}
