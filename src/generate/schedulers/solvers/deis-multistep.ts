import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { noiseOf, predictPicture } from '../prediction.ts';
import { cumulativeAlphas, noiseRatios } from '../schedule/noise-schedule.ts';
import { oneSpacing, ratioEnds, ratioSpacing } from '../schedule/ratio-spacing.ts';
import { flowOptions, flowPredictsFlow, flowSpacesItself, solverStops } from '../schedule/solver-stops.ts';
import type { SetTimestepsOptions } from '../scheduler.ts';
import {
  flag,
  solverOrder,
  stepsOffset,
  thresholding,
  timestepSpacing,
  trainingNoise,
  wordOf,
} from '../scheduler-config.ts';
import { deisWeights, roundedLevel } from '../steps/deis-weights.ts';
import { multistepOrder } from '../steps/multistep-order.ts';
import { SolverScheduler } from '../steps/solver-scheduler.ts';
import { boundPicture } from '../thresholding.ts';

export const deisMultistepConfig = z
  .object({
    ...trainingNoise,
    ...thresholding,
    ...ratioSpacing,
    ...ratioEnds,
    ...flowOptions,
    solver_order: solverOrder,
    algorithm_type: wordOf(['deis'], ['dpmsolver', 'dpmsolver++'], 'deis'),
    solver_type: wordOf(['logrho'], ['midpoint', 'heun', 'bh1', 'bh2'], 'logrho'),
    lower_order_final: flag.default(true),
    timestep_spacing: timestepSpacing.default('linspace'),
    steps_offset: stepsOffset,
  })
  .refine(...oneSpacing)
  .refine(...flowPredictsFlow)
  .refine(...flowSpacesItself);

/**
 * DEIS (Zhang & Chen 2022, "Fast sampling of diffusion models with exponential integrator"): interpolates the last noise
 * predictions by a polynomial in ln ρ, where ρ is noise over picture, and integrates it over ρ.
 */
export class DeisMultistepScheduler extends SolverScheduler {
  readonly needsNoise = false;
  readonly #config: z.infer<typeof deisMultistepConfig>;
  readonly #table: Float32Array;
  /** Last noise predictions, newest first. */
  #noises: readonly Float32Array[] = [];

  constructor(config: z.infer<typeof deisMultistepConfig>) {
    super(config.use_flow_sigmas);
    this.#config = config;
    this.#table = noiseRatios(cumulativeAlphas(config, false), false);
  }

  setTimesteps(count: number, { mu }: SetTimestepsOptions = {}): void {
    const table = this.#table;
    const stops = solverStops(this.#config, { table, usable: table.length, count, rounded: true, mu });
    // DEIS cannot reach zero noise: it ends at the training's lowest ratio, or at the last of the chosen ratios.
    const { use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas, use_flow_sigmas } = this.#config;
    const chosen = use_karras_sigmas || use_exponential_sigmas || use_beta_sigmas || use_flow_sigmas;
    this.begin(stops, (chosen ? stops.ratios.at(-1) : table[0]) ?? 0);
    this.#noises = [];
  }

  protected move(index: number, modelOutput: Float32Array, sample: Float32Array): Float32Array {
    const from = this.level(index);
    const predicted = predictPicture(this.#config.prediction_type, from, modelOutput, sample);
    const noise = noiseOf(sample, boundPicture(this.#config, predicted), from);
    this.#noises = [noise, ...this.#noises.slice(0, this.#config.solver_order - 1)];
    const [count, left] = [this.timesteps.length, this.timesteps.length - index];
    const order = multistepOrder(this.#config, { known: this.#noises.length, left, count });

    const rounded = (at: number) => roundedLevel(this.sigmas[at] ?? 0, this.#config.use_flow_sigmas);
    const earlier = Array.from({ length: order - 1 }, (_, back) => rounded(index - back - 1));
    const weights = deisWeights([rounded(index), ...earlier], rounded(index + 1));
    return linearCombination(
      [weights.sample, sample],
      ...weights.noises.map((weight, back) => [weight, this.#noises[back] ?? noise] as const),
    );
  }
}
