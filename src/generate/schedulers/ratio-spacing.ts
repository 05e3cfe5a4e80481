import { z } from 'zod';

/**
 * Most solvers stop where the timesteps fall. Some configurations choose the noise ratios (noise over picture, σ)
 * first instead, and take the timesteps that belong to them.
 */
export interface Stops {
  /** The noise ratio at each stop, descending. */
  readonly ratios: readonly number[];
  /** The training timestep of each, a fraction. */
  readonly timesteps: readonly number[];
}

/** The options of diffusers that choose the noise ratios. */
export const ratioSpacing = {
  use_karras_sigmas: z.boolean().default(false),
  use_exponential_sigmas: z.boolean().default(false),
};

/** The check that a configuration chooses them in one way only, for zod's `refine`. */
export const oneSpacing: readonly [(config: RatioSpacing) => boolean, { path: string[]; error: string }] = [
  (config) => !(config.use_karras_sigmas && config.use_exponential_sigmas),
  { path: ['use_exponential_sigmas'], error: 'false, because use_karras_sigmas is true' },
];

interface RatioSpacing {
  readonly use_karras_sigmas: boolean;
  readonly use_exponential_sigmas: boolean;
}

/**
 * `count` stops from `max` to `min` as the configuration spaces them, or `undefined` when it leaves that to the
 * timesteps. `table`: the noise ratio of every training timestep, ascending.
 */
export function spacedRatios(
  config: RatioSpacing,
  table: Float32Array,
  { count, min, max }: { readonly count: number; readonly min: number; readonly max: number },
): Stops | undefined {
  if (!config.use_karras_sigmas && !config.use_exponential_sigmas) return undefined;
  const ramp = Array.from({ length: count }, (_, i) => (i === 0 ? 0 : i / (count - 1)));
  const ratios = config.use_karras_sigmas ? karras(ramp, min, max) : exponential(ramp, min, max);
  const logs = table.map(Math.log);
  return { ratios, timesteps: ratios.map((ratio) => timestepOf(Math.log(ratio), logs)) };
}

/** Dense near `min`: Karras et al. 2022, equation 5, with ρ = 7. */
function karras(ramp: readonly number[], min: number, max: number): number[] {
  const [low, high] = [min ** (1 / 7), max ** (1 / 7)];
  return ramp.map((part) => (high + part * (low - high)) ** 7);
}

/** Evenly spaced logarithms. */
function exponential(ramp: readonly number[], min: number, max: number): number[] {
  const [low, high] = [Math.log(min), Math.log(max)];
  return ramp.map((part) => Math.exp(high + part * (low - high)));
}

/** The timestep at which `log` lies between its neighbours in the ascending table `logs`. */
function timestepOf(log: number, logs: Float32Array): number {
  const above = logs.findIndex((other) => other > log);
  const below = Math.min(Math.max((above < 0 ? logs.length : above) - 1, 0), logs.length - 2);
  const [low = 0, high = 0] = logs.subarray(below, below + 2);
  const part = (log - low) / Math.fround(high - low);
  return below + Math.min(Math.max(part, 0), 1);
}
