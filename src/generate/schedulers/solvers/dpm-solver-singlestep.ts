import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { cumulativeAlphas, noiseRatios } from '../schedule/noise-schedule.ts';
import { oneSpacing, ratioEnds, ratioSpacing } from '../schedule/ratio-spacing.ts';
import {
  finalRatio,
  flowOptions,
  flowPredictsFlow,
  flowSpacesItself,
  solverStops,
} from '../schedule/solver-stops.ts';
import { noiseFor, type SetTimestepsOptions, type StepOptions } from '../scheduler.ts';
import {
  finalSigmas,
  flag,
  solverOrder,
  solverType,
  thresholding,
  trainingNoise,
  unset,
  wordOf,
} from '../scheduler-config.ts';
import {
  dpmSolverStep,
  type Expansion,
  followsPicture,
  isStochastic,
  stepWeights,
} from '../steps/dpm-solver-step.ts';
import { SolverScheduler } from '../steps/solver-scheduler.ts';
import { endsInNoise, lambdaMinClipped, predictValue } from './dpm-solver-multistep.ts';

export const dpmSolverSinglestepConfig = z
  .object({
    ...trainingNoise,
    ...thresholding,
    ...ratioSpacing,
    ...ratioEnds,
    ...flowOptions,
    solver_order: solverOrder,
    algorithm_type: wordOf(['dpmsolver++', 'sde-dpmsolver++', 'dpmsolver'], ['deis'], 'dpmsolver++'),
    solver_type: solverType,
    lower_order_final: flag.default(false),
    final_sigmas_type: finalSigmas,
    lambda_min_clipped: lambdaMinClipped,
    variance_type: unset,
  })
  .refine(...oneSpacing)
  .refine(...flowPredictsFlow)
  .refine(...flowSpacesItself)
  .refine(...endsInNoise)
  .refine((config) => followsPicture(config.algorithm_type) || !config.thresholding, {
    path: ['thresholding'],
    error: 'false, because algorithm_type integrates the predicted noise',
  });

/**
 * Singlestep DPM-Solver and DPM-Solver++, in blocks of 1 to 3 steps: the last step of a block starts again from the block's
 * first sample and uses the predictions of all its steps (Lu et al. 2022, "DPM-Solver", algorithms 1 and 2).
 */
export class DpmSolverSinglestepScheduler extends SolverScheduler {
  readonly needsNoise: boolean;
  readonly #config: z.infer<typeof dpmSolverSinglestepConfig>;
  readonly #table: Float32Array;
  #orders: readonly number[] = [];
  /** Last predictions, newest first. */
  #values: readonly Float32Array[] = [];
  /** Sample at the start of the block. */
  #start = new Float32Array();

  constructor(config: z.infer<typeof dpmSolverSinglestepConfig>) {
    super(config.use_flow_sigmas);
    this.#config = config;
    this.needsNoise = isStochastic(config.algorithm_type);
    this.#table = noiseRatios(cumulativeAlphas(config, false), false);
  }

  setTimesteps(count: number, { mu }: SetTimestepsOptions = {}): void {
    const usable = this.#table.filter((ratio) => -Math.log(ratio) >= this.#config.lambda_min_clipped).length;
    const stops = solverStops(this.#config, { table: this.#table, usable, count, rounded: true, mu });
    this.begin(stops, finalRatio(this.#config, this.#table));
    this.#orders = blockOrders(this.#config, count);
    this.#values = [];
  }

  protected move(
    index: number,
    modelOutput: Float32Array,
    sample: Float32Array,
    options: StepOptions,
  ): Float32Array {
    const { algorithm_type: algorithm, solver_type: type, solver_order: most } = this.#config;
    const value = predictValue(this.#config, this.level(index), modelOutput, sample);
    this.#values = [value, ...this.#values.slice(0, most - 1)];
    const order = Math.min(this.#orders[index] ?? 1, this.#values.length);
    if (order === 1) this.#start = sample.slice();
    const first = index - order + 1;
    const h = this.lambda(index + 1) - this.lambda(first);
    const weights = stepWeights(algorithm, { from: this.level(first), to: this.level(index + 1), h });
    const noise = this.needsNoise ? noiseFor(algorithm, options, sample.length) : undefined;
    const midpoint = type === 'midpoint' && order === 2;
    return dpmSolverStep(weights, this.#start, this.#expand(index, order, h), { midpoint, noise });
  }

  /** Derivatives of the prediction at the start of the block, times `h`. */
  #expand(index: number, order: number, h: number): Expansion {
    const [m0 = new Float32Array(), m1 = m0, m2 = m1] = this.#values;
    const part = (back: number) => (this.lambda(index - back) - this.lambda(index - order + 1)) / h;
    if (order === 1) return { value: m0 };
    const r0 = part(0);
    if (order === 2) return { value: m1, slope: linearCombination([1 / r0, m0], [-1 / r0, m1]) };
    const d1 = linearCombination([1 / r0, m0], [-1 / r0, m2]);
    if (this.#config.solver_type === 'midpoint') return { value: m2, slope: d1 };
    const r1 = part(1);
    const d0 = linearCombination([1 / r1, m1], [-1 / r1, m2]);
    return {
      value: m2,
      slope: linearCombination([r0 / (r0 - r1), d0], [-r1 / (r0 - r1), d1]),
      bend: linearCombination([2 / (r0 - r1), d1], [-2 / (r0 - r1), d0]),
    };
  }
}

/** Order of each step: blocks count up to the solver's order, and the remaining steps have lower orders. */
function blockOrders(
  config: Pick<
    z.infer<typeof dpmSolverSinglestepConfig>,
    'solver_order' | 'lower_order_final' | 'final_sigmas_type'
  >,
  count: number,
): number[] {
  const { solver_order: most, lower_order_final: lower, final_sigmas_type: final } = config;
  const orders = Array.from({ length: count }, (_, i) => (i % most) + 1);
  // A run that ends at zero noise or in the middle of a block must end with lower orders.
  const lowered = lower || final === 'zero' || count % most !== 0;
  if (lowered && count % most === 0 && most === 3) orders.splice(-3, 3, 1, 2, 1);
  if (lowered && count % most === 0 && most === 2) orders.splice(-2, 2, 1, 1);
  return final === 'zero' ? orders.with(-1, 1) : orders;
}
