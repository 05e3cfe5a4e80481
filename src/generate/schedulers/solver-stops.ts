import { interpolate, type TimestepSpacing, timestepsAhead } from './noise-schedule.ts';
import { type Stops, spacedRatios } from './ratio-spacing.ts';

/** What the configurations of DPM-Solver and UniPC share. */
interface SolverConfig {
  readonly num_train_timesteps: number;
  readonly steps_offset: number;
  readonly timestep_spacing: TimestepSpacing;
  readonly use_karras_sigmas: boolean;
  readonly use_exponential_sigmas: boolean;
  readonly final_sigmas_type: 'zero' | 'sigma_min';
}

/**
 * The stops of a walk of `count` steps, one more ratio than timesteps: where the last step ends.
 * `table`: the noise ratio of every training timestep, ascending; only the first `usable` ones are visited.
 */
export function solverStops(config: SolverConfig, table: Float32Array, usable: number, count: number): Stops {
  const { num_train_timesteps: trainSteps, steps_offset: offset, timestep_spacing: spacing } = config;
  const [min = 0, max = 0] = [table[0], table.at(-1)];
  const ahead = timestepsAhead(spacing, count, { trainSteps, usable, offset });
  const stops = spacedRatios(config, table, { count, min, max });
  const ratios = stops?.ratios ?? ahead.map((t) => interpolate(table, t));
  return {
    timesteps: stops?.timesteps ?? ahead,
    ratios: [...ratios, config.final_sigmas_type === 'zero' ? 0 : min],
  };
}
