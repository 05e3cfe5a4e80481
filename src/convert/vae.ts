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

/** What diffusers calls the kind of VAE. Its own config goes before model_index.json: a VAE's folder may have been exchanged. */
export function vaeClass({ config, className }: Component): unknown {
  return config._class_name ?? className;
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
