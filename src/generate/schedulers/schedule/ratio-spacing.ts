import { ConfigError } from '../../../errors.ts';
import { flag, positive } from '../scheduler-config.ts';
import { betaQuantile } from './beta-quantile.ts';

/**
 * Stops of a sampling run: where its steps begin. Usually the timesteps are chosen first; options such as
 * `use_karras_sigmas` choose the noise ratios (noise over picture, σ) first and derive the timesteps from them.
 */
export interface Stops {
  /** Noise ratio at each stop, descending. */
  readonly ratios: readonly number[];
  /** Training timestep of each, possibly fractional. */
  readonly timesteps: readonly number[];
}

/** diffusers' options that choose the noise ratios. */
export const ratioSpacing = {
  use_karras_sigmas: flag.default(false),
  use_exponential_sigmas: flag.default(false),
  use_beta_sigmas: flag.default(false),
};

/** Options that set the lowest and highest ratio, by default the training's. Nearly all of diffusers' classes honour them. */
export const ratioEnds = { sigma_min: positive(1e6).optional(), sigma_max: positive(1e6).optional() };

/** Options of `ratioSpacing` and `ratioEnds`; classes have some of them. */
export interface RatioSpacing {
  readonly use_karras_sigmas?: boolean;
  readonly use_exponential_sigmas?: boolean;
  readonly use_beta_sigmas?: boolean;
  readonly sigma_min?: number | undefined;
  readonly sigma_max?: number | undefined;
}

/** Check for zod's `refine`: at most one way to choose the ratios. */
export const oneSpacing: readonly [(config: RatioSpacing) => boolean, { path: string[]; error: string }] = [
  (config) => {
    const ways = [config.use_karras_sigmas, config.use_exponential_sigmas, config.use_beta_sigmas];
    return ways.filter(Boolean).length <= 1;
  },
  {
    path: ['use_exponential_sigmas'],
    error: 'only one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas',
  },
];

/** Range of noise ratios for `count` stops. */
export interface RatioRange {
  readonly count: number;
  readonly min: number;
  readonly max: number;
}

/**
 * `count` ratios from `max` to `min` as the configuration spaces them, or `undefined` when it leaves that to the
 * timesteps. `sigma_min` and `sigma_max` override the range. Throws `ConfigError` when they are not in this order.
 */
export function spacedRatios(config: RatioSpacing, range: RatioRange): number[] | undefined {
  const { count } = range;
  const [min, max] = [config.sigma_min ?? range.min, config.sigma_max ?? range.max];
  const chosen = config.use_karras_sigmas || config.use_exponential_sigmas || config.use_beta_sigmas;
  if (!chosen) return undefined;
  if (min > max || (count > 1 && min === max))
    throw new ConfigError({
      problem: 'The scheduler configuration has a sigma_min that is not below its sigma_max.',
      details: { expected: `below ${max}`, found: String(min) },
    });
  const ramp = Array.from({ length: count }, (_, i) => (i === 0 ? 0 : i / (count - 1)));
  if (config.use_karras_sigmas) return karras(ramp, { min, max, rho: 7 });
  if (config.use_exponential_sigmas) return exponential(ramp, min, max);
  return ramp.map((part) => min + betaQuantile(1 - part, 0.6) * (max - min));
}

/** Ratios of `spacedRatios` with the timestep of each; `table`: the noise ratio of every training timestep, ascending. */
export function spacedStops(config: RatioSpacing, table: Float32Array, range: RatioRange): Stops | undefined {
  const ratios = spacedRatios(config, range);
  if (!ratios) return undefined;
  const timestepOf = timestepsOf(table);
  return { ratios, timesteps: ratios.map(timestepOf) };
}

/** Dense near `min`: Karras et al. 2022, equation 5. */
function karras(
  ramp: readonly number[],
  { min, max, rho }: { readonly min: number; readonly max: number; readonly rho: number },
): number[] {
  const [low, high] = [min ** (1 / rho), max ** (1 / rho)];
  return ramp.map((part) => (high + part * (low - high)) ** rho);
}

/** Evenly spaced logarithms. */
function exponential(ramp: readonly number[], min: number, max: number): number[] {
  const [low, high] = [Math.log(min), Math.log(max)];
  return ramp.map((part) => Math.exp(high + part * (low - high)));
}

/** Maps a noise ratio to its fractional timestep, by linear interpolation of the logarithms in the ascending table. */
export function timestepsOf(table: Float32Array): (ratio: number) => number {
  const logs = table.map(Math.log);
  return (ratio) => {
    const log = Math.log(Math.max(ratio, 1e-10));
    const below = Math.min(Math.max(countUpTo(logs, log) - 1, 0), logs.length - 2);
    const [low = 0, high = 0] = logs.subarray(below, below + 2);
    const part = (log - low) / Math.fround(high - low);
    return below + Math.min(Math.max(part, 0), 1);
  };
}

/** Number of elements of an ascending list that are ≤ `limit`. */
function countUpTo(ascending: Float32Array, limit: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}
