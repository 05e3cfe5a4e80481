import { anyPrediction, flag, inert, positive } from '../scheduler-config.ts';
import { interpolate, type TimestepSpacing, timestepsAhead } from './noise-schedule.ts';
import { type RatioSpacing, type Stops, spacedStops } from './ratio-spacing.ts';
import { roundHalfEven } from './round-half-even.ts';

/** Options of solvers that support rectified flows besides diffusion. */
export const flowOptions = {
  prediction_type: anyPrediction,
  use_flow_sigmas: flag.default(false),
  flow_shift: positive(1000).default(1),
  use_dynamic_shifting: flag.default(false),
  time_shift_type: inert,
};

/** Check for zod's `refine`: only flows have `flow_prediction`. */
export const flowPredictsFlow: readonly [
  (config: { readonly use_flow_sigmas: boolean; readonly prediction_type: string }) => boolean,
  { path: string[]; error: string },
] = [
  (config) => config.use_flow_sigmas || config.prediction_type !== 'flow_prediction',
  { path: ['prediction_type'], error: 'another one, because use_flow_sigmas is false' },
];

/** Check for zod's `refine`: a flow's shares of noise (at most 1) are not spaced as noise ratios (any size). */
export const flowSpacesItself: readonly [
  (config: RatioSpacing & Pick<SolverConfig, 'use_flow_sigmas' | 'use_lu_lambdas'>) => boolean,
  { path: string[]; error: string },
] = [
  (config) =>
    !config.use_flow_sigmas ||
    !(
      config.use_karras_sigmas ||
      config.use_exponential_sigmas ||
      config.use_beta_sigmas ||
      config.use_lu_lambdas
    ),
  { path: ['use_flow_sigmas'], error: 'false, because another option chooses the sigmas' },
];

/** Options shared by DPM-Solver, DEIS and UniPC. */
export interface SolverConfig extends RatioSpacing {
  readonly num_train_timesteps: number;
  readonly steps_offset?: number;
  readonly timestep_spacing?: TimestepSpacing;
  readonly use_lu_lambdas?: boolean;
  readonly use_flow_sigmas: boolean;
  readonly flow_shift: number;
  readonly use_dynamic_shifting: boolean;
}

/** A sampling run of these solvers, which use whole timesteps. */
export interface SolverRun {
  readonly table: Float32Array;
  /** Number of training timesteps, from the clean end, that may be visited. */
  readonly usable: number;
  readonly count: number;
  /** Whether the timesteps of Karras' and Lu's ratios are rounded; all others are truncated. */
  readonly rounded: boolean;
  /** Logarithm of the flow shift for this run (`use_dynamic_shifting`). */
  readonly mu?: number | undefined;
}

/** Stops of a sampling run; with `use_flow_sigmas`, the ratios are shares of noise. */
export function solverStops(config: SolverConfig, run: SolverRun): Stops {
  const { table, count } = run;
  const { num_train_timesteps: trainSteps, steps_offset: offset = 0, timestep_spacing } = config;
  const ahead = timestepsAhead(timestep_spacing ?? 'linspace', count, {
    trainSteps,
    usable: run.usable,
    offset,
  });
  // `use_lu_lambdas` spaces the logarithms evenly, which is what `use_exponential_sigmas` does.
  const lu = config.use_lu_lambdas && !config.use_karras_sigmas;
  const chosen = spacedStops(lu ? { use_exponential_sigmas: true } : config, table, rangeOf(run));
  if (chosen) {
    const round = run.rounded && (lu || config.use_karras_sigmas) ? roundHalfEven : Math.trunc;
    return { ratios: chosen.ratios, timesteps: chosen.timesteps.map(round) };
  }
  if (config.use_flow_sigmas) return flowStops(config, run);
  return { ratios: ahead.map((t) => interpolate(table, t)), timesteps: ahead };
}

function rangeOf({ table, count }: SolverRun) {
  return { count, min: table[0] ?? 0, max: table.at(-1) ?? 0 };
}

/** Evenly spaced shares of noise, shifted towards the noisy end. */
function flowStops(config: SolverConfig, { count, mu }: SolverRun): Stops {
  const { num_train_timesteps: trainSteps } = config;
  const shift = config.use_dynamic_shifting && mu !== undefined ? Math.exp(mu) : config.flow_shift;
  const ratios = evenFlow(count, trainSteps)
    .toReversed()
    .map((picture) => {
      const share = 1 - picture;
      return (shift * share) / (1 + (shift - 1) * share);
    });
  return { ratios, timesteps: ratios.map((ratio) => Math.trunc(ratio * trainSteps)) };
}

/** `count` evenly spaced shares from 1 (left out) down to 1 / trainSteps, the lowest of the training. */
function evenFlow(count: number, trainSteps: number): number[] {
  const step = (1 / trainSteps - 1) / count;
  return Array.from({ length: count }, (_, i) => (i + 1 === count ? 1 / trainSteps : 1 + (i + 1) * step));
}

/** Noise ratio at the end of the last step. */
export function finalRatio(
  config: { readonly final_sigmas_type: 'zero' | 'sigma_min' },
  table: Float32Array,
) {
  return config.final_sigmas_type === 'zero' ? 0 : (table[0] ?? 0);
}
