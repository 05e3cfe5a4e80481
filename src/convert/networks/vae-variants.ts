import type { Component } from '../../checkpoint/checkpoint.ts';
import { ConfigError } from '../../errors.ts';
import { asymmetricAutoencoderKl } from './asymmetric-autoencoder-kl.ts';
import { autoencoderKl } from './autoencoder-kl.ts';
import { autoencoderTiny } from './autoencoder-tiny.ts';
import { LARGEST_SCALE, type VaeVariant } from './vae-variant.ts';

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
export function latentScaleOf(vae: VaeFacts): LatentScale {
  const { scaling_factor: factor, shift_factor: shift, latents_mean: mean, latents_std: std } = vae.config;
  const scale: LatentScale = {
    factor: typeof factor === 'number' ? factor : vaeVariant(vae).defaultFactor,
    shift: typeof shift === 'number' ? shift : 0,
    // diffusers reads both or neither.
    ...(areNumbers(mean) && areNumbers(std) && { mean, std }),
  };
  const most = LARGEST_SCALE.toLocaleString('en');
  if (!(scale.factor > 0 && scale.factor <= LARGEST_SCALE))
    throw impossible('scaling_factor', scale.factor, `more than 0, at most ${most}`);
  if (!(Math.abs(scale.shift) <= LARGEST_SCALE))
    throw impossible('shift_factor', scale.shift, `from −${most} to ${most}`);
  for (const each of scale.mean ?? [])
    if (!(Math.abs(each) <= LARGEST_SCALE))
      throw impossible('latents_mean', each, `from −${most} to ${most}`);
  for (const each of scale.std ?? [])
    if (!(each > 0 && each <= LARGEST_SCALE))
      throw impossible('latents_std', each, `more than 0, at most ${most}`);
  return scale;
}

function impossible(key: string, found: number, expected: string): ConfigError {
  return new ConfigError({
    problem: `the config of the VAE sets ${key} to ${found}, which is that of no latents.`,
    details: { expected },
    advice: 'The config is damaged: download it again.',
  });
}

function areNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'number');
}
