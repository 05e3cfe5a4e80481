import type { Component } from '../../checkpoint/checkpoint.ts';
import type { Scope } from '../../graph/scope.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { Ignored } from '../../graph/weight-book.ts';

/** A VAE of any kind, as the cards of its encoder and decoder use it. */
export interface Vae {
  readonly in_channels: number;
  readonly latent_channels: number;
  /** Height and width of a latent in pixels. */
  readonly factor: number;
  /** Latents [B,C,h,w] → a picture [B,3,H,W] in −1…1. */
  decode(at: Scope, z: Tensor): Tensor;
  /** A picture [B,3,H,W] in −1…1 → mean and log variance of its latents [B,2C,h,w]. */
  encode(at: Scope, x: Tensor): Tensor;
}

/** All that sdconvert knows of a kind of VAE. */
export interface VaeVariant {
  /** Scaling factor where the config has none: diffusers' default. */
  readonly defaultFactor: number;
  /** Whether it belongs to one family, whose scaling factor it then has. */
  readonly isOfOneFamily: boolean;
  /** Whether Stable Diffusion XL's VAE of this kind overflows float16. */
  overflowsInXl(config: Component['config']): boolean;
  /** Tensors that neither encoder nor decoder reads. */
  readonly ignored: readonly Ignored[];
  /** What users of its decoder should know, a sentence each. */
  readonly notes: readonly string[];
  /** Reads its config. Throws `ConfigError`. */
  open(component: Component): Vae;
}

/**
 * 1 / the standard deviation of the latents that each family's UNet was trained on: 1.x and 2.x (Rombach et al. 2022,
 * appendix G), XL (Podell et al. 2023). The first is also diffusers' default for a VAE's config.
 */
export const trainedFactors = { sd: 0.18215, xl: 0.13025 } as const;
