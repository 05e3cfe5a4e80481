import { linearCombination } from '../linear-combination.ts';
import { linspace32 } from '../schedule/noise-schedule.ts';
import { between, finalSigmas, positive, trainSteps } from '../scheduler-config.ts';

/**
 * Options of EDM schedulers (Karras et al. 2022, table 1, "Our training objective"): the network was trained to predict a
 * mixture of picture and noise of the same variance at every noise ratio, and takes ¼·ln σ as its timestep. Example:
 * Playground 2.5.
 */
export const edmOptions = {
  num_train_timesteps: trainSteps,
  sigma_min: positive(1e6).default(0.002),
  sigma_max: positive(1e6).default(80),
  sigma_data: positive(1e6).default(0.5),
  rho: between(1, 100).default(7),
  final_sigmas_type: finalSigmas,
};

/** Check for zod's `refine`: the ratios descend. */
export const edmFalls: readonly [
  (config: { readonly sigma_min: number; readonly sigma_max: number }) => boolean,
  { path: string[]; error: string },
] = [
  (config) => config.sigma_min < config.sigma_max,
  { path: ['sigma_min'], error: 'a number below sigma_max' },
];

/** Options that determine the noise ratios. */
export interface EdmRange {
  readonly sigma_min: number;
  readonly sigma_max: number;
  readonly rho: number;
  readonly sigma_schedule: 'karras' | 'exponential';
}

const round = Math.fround;

/** Noise ratios of `count` stops, rounded to float32 as in diffusers; `exact`: computed in double precision first. */
export function edmRatios(config: EdmRange, count: number, exact: boolean): Float32Array {
  const { sigma_min: min, sigma_max: max, rho } = config;
  if (config.sigma_schedule === 'exponential')
    return linspace32(Math.log(min), Math.log(max), count).map(Math.exp).toReversed();
  const [low, high] = [min ** (1 / rho), max ** (1 / rho)];
  if (exact) {
    const ramp = Array.from({ length: count }, (_, i) => (i === 0 ? 0 : i / (count - 1)));
    return Float32Array.from(ramp, (part) => (high + part * (low - high)) ** rho);
  }
  return linspace32(0, 1, count).map((part) => round(round(high) + round(part * round(low - high))) ** rho);
}

/** ¼·ln σ: the network's timestep input. */
export function edmTimestep(ratio: number): number {
  return round(0.25 * round(Math.log(ratio)));
}

/** Scales the sample to the network's input (c_in). */
export function edmInput(dataSigma: number, ratio: number, sample: Float32Array): Float32Array {
  return linearCombination([1 / Math.hypot(ratio, dataSigma), sample]);
}

/** Predicted picture, from the network's output (c_skip and c_out). */
export function edmPicture(
  config: { readonly sigma_data: number; readonly prediction_type: 'epsilon' | 'v_prediction' },
  ratio: number,
  output: Float32Array,
  sample: Float32Array,
): Float32Array {
  const { sigma_data: data, prediction_type: type } = config;
  const scale = (ratio * data) / Math.hypot(ratio, data);
  return linearCombination(
    [data ** 2 / (ratio ** 2 + data ** 2), sample],
    [type === 'epsilon' ? scale : -scale, output],
  );
}
