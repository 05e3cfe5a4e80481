import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { shortList } from '../../io/short-list.ts';
import { latentFactor, latentShift } from './number-ranges.ts';
import { checkLevels, checkSizes, parseConfig } from './parse-config.ts';

/** More channels of latents than any model has. */
const MOST_CHANNELS = 4096;

const schema = z.object({
  scaling_factor: latentFactor.optional(),
  shift_factor: latentShift.nullish(),
  latents_mean: shortList(latentShift, { most: MOST_CHANNELS }).nullish(),
  latents_std: shortList(latentFactor, { most: MOST_CHANNELS }).nullish(),
});

/** What scaling is read of: beside a converted decoder there are no weights to compare it with. */
export type ScaledVae = Pick<Component, 'name' | 'config' | 'configFile'> &
  Partial<Pick<Component, 'weights'>>;

/** How the config of a VAE, of any kind, says that latents are scaled. Throws `ConfigError`. */
export function latentScaleConfig(vae: ScaledVae): z.output<typeof schema> {
  const config = parseConfig(schema, vae);
  const { latents_mean, latents_std } = config;
  if (!latents_mean || !latents_std) return config;
  checkLevels(vae, { latents_mean, latents_std });
  const { length } = latents_mean;
  const { weights = new Map() } = vae;
  checkSizes({ ...vae, weights }, [
    { key: 'the number of latents_mean', value: length, weight: 'decoder.conv_in.weight', axis: 1 },
  ]);
  return config;
}
