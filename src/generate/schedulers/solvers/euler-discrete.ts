import { z } from 'zod';
import { linspace32 } from '../schedule/noise-schedule.ts';
import { oneSpacing, ratioEnds, ratioSpacing, type Stops, spacedStops } from '../schedule/ratio-spacing.ts';
import { finalRatio } from '../schedule/solver-stops.ts';
import {
  finalSigmas,
  flag,
  predictionType,
  stepsOffset,
  timestepSpacing,
  trainingNoise,
} from '../scheduler-config.ts';
import { edmTimestep } from '../steps/edm.ts';
import { eulerStep, type ModelRuns, RatioScheduler, type RatioStep } from '../steps/ratio-scheduler.ts';

export const eulerDiscreteConfig = z
  .object({
    ...trainingNoise,
    ...ratioSpacing,
    ...ratioEnds,
    prediction_type: predictionType.default('epsilon'),
    interpolation_type: z.enum(['linear', 'log_linear']).default('linear'),
    timestep_spacing: timestepSpacing.default('linspace'),
    timestep_type: z.enum(['discrete', 'continuous']).default('discrete'),
    steps_offset: stepsOffset,
    rescale_betas_zero_snr: flag.default(false),
    final_sigmas_type: finalSigmas,
  })
  .refine(...oneSpacing);

/** Euler's method: Karras et al. 2022, algorithm 2 without churn. */
export class EulerDiscreteScheduler extends RatioScheduler {
  readonly needsNoise = false;
  readonly #config: z.infer<typeof eulerDiscreteConfig>;

  constructor(config: z.infer<typeof eulerDiscreteConfig>) {
    super(config);
    this.#config = config;
  }

  protected override stops(count: number): Stops {
    const stops = super.stops(count);
    if (this.#config.interpolation_type === 'linear') return stops;
    const [min = 0, max = 0] = [this.table[0], this.table.at(-1)];
    const ratios = Array.from(linspace32(Math.log(max), Math.log(min), count + 1), Math.exp);
    return spacedStops(this.#config, this.table, { count, min, max }) ?? { ...stops, ratios };
  }

  protected override modelRuns({ timesteps, ratios }: Stops): ModelRuns {
    const { timestep_type: type, prediction_type: prediction } = this.#config;
    const continuous = type === 'continuous' && prediction === 'v_prediction';
    return {
      timesteps: continuous ? ratios.map(Math.fround).map(edmTimestep) : timesteps.map(Math.fround),
      ratios: [...ratios, finalRatio(this.#config, this.table)],
    };
  }

  protected move(step: RatioStep): Float32Array {
    return eulerStep(step, step.next);
  }
}
