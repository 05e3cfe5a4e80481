import { anyPrediction, flag, inert, positive } from '../scheduler-config.ts';
import { interpolate, type TimestepSpacing, timestepsAhead } from './noise-schedule.ts';
import { type RatioSpacing, type Stops, spacedStops } from './ratio-spacing.ts';
import { roundHalfEven } from './round-half-even.ts';

/** The options of solvers that can follow rectified flows in place of diffusions. */
export const flowOptions = {
  prediction_type: anyPrediction,
  use_flow_sigmas: flag.default(false),
  flow_shift: positive(1000).default(1),
  use_dynamic_shifting: flag.default(false),
  time_shift_type: inert,
};

/** The check that only flows have flow predictions, for zod's `refine`. */
export const flowPredictsFlow: readonly [
  (config: { readonly use_flow_sigmas: boolean; readonly prediction_type: string }) => boolean,
  { path: string[]; error: string },
] = [
  (config) => config.use_flow_sigmas || config.prediction_type !== 'flow_prediction',
  { path: ['prediction_type'], error: 'another one, because use_flow_sigmas is false' },
];

/** The check that a flow's shares of noise are not spaced as noise ratios, which rise above 1, for zod's `refine`. */
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
  { path: ['use_flow_sigmas'], error: 'false, because the noise ratios are chosen otherwise' },
];

/** What the configurations of the solvers that know the picture's and the noise's share have in common. */
export interface SolverConfig extends RatioSpacing {
  readonly num_train_timesteps: number;
  readonly steps_offset?: number;
  readonly timestep_spacing?: TimestepSpacing;
  readonly use_lu_lambdas?: boolean;
  readonly use_flow_sigmas: boolean;
  readonly flow_shift: number;
  readonly use_dynamic_shifting: boolean;
}

/** A walk as these solvers take it: whole timesteps. */
export interface SolverWalk {
  readonly table: Float32Array;
  /** Only so many training timesteps, from the clean end, are visited. */
  readonly usable: number;
  readonly count: number;
  /** Whether timesteps of Karras' and Lu's ratios are rounded; else, and of all others, the fraction is dropped. */
  readonly rounded: boolean;
  /** The shift of this walk alone (`use_dynamic_shifting`), as a logarithm. */
  readonly mu?: number | undefined;
}

/** The stops of a walk of `count` steps; the ratios are a flow's shares of noise, where the configuration says so. */
export function solverStops(config: SolverConfig, walk: SolverWalk): Stops {
  const { table, count } = walk;
  const { num_train_timesteps: trainSteps, steps_offset: offset = 0, timestep_spacing } = config;
  const ahead = timestepsAhead(timestep_spacing ?? 'linspace', count, {
    trainSteps,
    usable: walk.usable,
    offset,
  });
  // Lu's evenly spaced logarithms are the exponential ratios.
  const lu = config.use_lu_lambdas && !config.use_karras_sigmas;
  const chosen = spacedStops(lu ? { use_exponential_sigmas: true } : config, table, rangeOf(walk));
  if (chosen) {
    const round = walk.rounded && (lu || config.use_karras_sigmas) ? roundHalfEven : Math.trunc;
    return { ratios: chosen.ratios, timesteps: chosen.timesteps.map(round) };
  }
  if (config.use_flow_sigmas) return flowStops(config, walk);
  return { ratios: ahead.map((t) => interpolate(table, t)), timesteps: ahead };
}

function rangeOf({ table, count }: SolverWalk) {
  return { count, min: table[0] ?? 0, max: table.at(-1) ?? 0 };
}

/** Evenly spaced shares of noise, shifted towards the noisy end. */
function flowStops(config: SolverConfig, { count, mu }: SolverWalk): Stops {
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

/** From 1 (left out) down to the training's least share, in `count` even steps. */
function evenFlow(count: number, trainSteps: number): number[] {
  const step = (1 / trainSteps - 1) / count;
  return Array.from({ length: count }, (_, i) => (i + 1 === count ? 1 / trainSteps : 1 + (i + 1) * step));
}

/** The noise ratio that the last step ends at. */
export function finalRatio(
  config: { readonly final_sigmas_type: 'zero' | 'sigma_min' },
  table: Float32Array,
) {
  return config.final_sigmas_type === 'zero' ? 0 : (table[0] ?? 0);
}
