import { z } from 'zod';
import { shortList } from '../../../io/short-list.ts';
import { linearCombination } from '../linear-combination.ts';
import { predictNoise, predictPicture } from '../prediction.ts';
import { shiftFlow } from '../schedule/flow-shift.ts';
import { cumulativeAlphas, noiseRatios } from '../schedule/noise-schedule.ts';
import { oneSpacing, ratioEnds, ratioSpacing, type Stops } from '../schedule/ratio-spacing.ts';
import { flowOptions, flowPredictsFlow, flowSpacesItself, solverStops } from '../schedule/solver-stops.ts';
import type { SetTimestepsOptions } from '../scheduler.ts';
import {
  between,
  finalSigmas,
  flag,
  solverOrder,
  stepsOffset,
  thresholding,
  timestepSpacing,
  trainingNoise,
  unset,
  whole,
  wordOf,
} from '../scheduler-config.ts';
import { SolverScheduler } from '../steps/solver-scheduler.ts';
import { boundPicture } from '../thresholding.ts';

export const unipcMultistepConfig = z
  .object({
    ...trainingNoise,
    ...thresholding,
    ...ratioSpacing,
    ...ratioEnds,
    ...flowOptions,
    time_shift_type: z.enum(['exponential', 'linear']).default('exponential'),
    shift_terminal: between(0, 0.999).optional(),
    solver_order: solverOrder,
    predict_x0: flag.default(true),
    solver_type: wordOf(['bh2', 'bh1'], ['midpoint', 'heun', 'logrho'], 'bh2'),
    lower_order_final: flag.default(true),
    disable_corrector: shortList(whole(-1, 100_000), { most: 1000 }).default([]),
    solver_p: unset,
    timestep_spacing: timestepSpacing.default('linspace'),
    steps_offset: stepsOffset,
    final_sigmas_type: finalSigmas,
    rescale_betas_zero_snr: flag.default(false),
  })
  .refine(...oneSpacing)
  .refine(...flowPredictsFlow)
  .refine((config) => flowSpacesItself[0]({ ...config, use_karras_sigmas: false }), flowSpacesItself[1])
  .refine((config) => config.predict_x0 || config.final_sigmas_type === 'sigma_min', {
    path: ['final_sigmas_type'],
    error: '"sigma_min", because predict_x0 is false',
  })
  .refine((config) => config.predict_x0 || !config.use_flow_sigmas, {
    path: ['predict_x0'],
    error: 'true, because use_flow_sigmas is true',
  });

/** Predictor-corrector of Zhao et al. 2023, "UniPC", algorithms 5 to 8. */
export class UniPcMultistepScheduler extends SolverScheduler {
  readonly needsNoise = false;
  readonly #config: z.infer<typeof unipcMultistepConfig>;
  readonly #table: Float32Array;
  /** Last predictions (the picture, or the noise with `predict_x0` off), newest first. */
  #values: readonly Float32Array[] = [];
  #previous: { readonly sample: Float32Array; readonly order: number } | undefined;

  constructor(config: z.infer<typeof unipcMultistepConfig>) {
    super(config.use_flow_sigmas);
    this.#config = config;
    const zeroSnr = config.rescale_betas_zero_snr;
    this.#table = noiseRatios(cumulativeAlphas(config, zeroSnr), zeroSnr);
  }

  setTimesteps(count: number, { mu }: SetTimestepsOptions = {}): void {
    const stops = this.#stops(count, mu);
    const { use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas, use_flow_sigmas } = this.#config;
    const chosen = use_karras_sigmas || use_exponential_sigmas || use_beta_sigmas || use_flow_sigmas;
    const lowest = chosen ? stops.ratios.at(-1) : this.#table[0];
    this.begin(stops, this.#config.final_sigmas_type === 'zero' ? 0 : (lowest ?? 0));
    this.#values = [];
    this.#previous = undefined;
  }

  /** Stops of a sampling run; diffusers spaces those of a flow differently in this class. */
  #stops(count: number, mu: number | undefined): Stops {
    const table = this.#table;
    const stops = solverStops(this.#config, { table, usable: table.length, count, rounded: true });
    const { use_flow_sigmas: flow, flow_shift: shift, num_train_timesteps: trainSteps } = this.#config;
    if (!flow) return stops;
    const step = (1 / trainSteps - 1) / count;
    const even = Array.from({ length: count }, (_, i) => 1 + i * step);
    const ratios = this.#config.use_karras_sigmas
      ? stops.ratios.map((ratio) => ratio / (ratio + 1))
      : shiftFlow({ ...this.#config, shift }, even, mu).map((share) =>
          share > 1 - 1e-6 ? share - 1e-6 : share,
        );
    return { ratios, timesteps: ratios.map((share) => Math.trunc(share * trainSteps)) };
  }

  protected move(index: number, modelOutput: Float32Array, sample: Float32Array): Float32Array {
    const value = this.#predict(index, modelOutput, sample);
    // Corrector: repeat the previous step, now that the prediction at its end is known.
    const again = this.#config.disable_corrector.includes(index - 1) ? undefined : this.#previous;
    const start = again ? this.#solve(again.sample, index - 1, again.order, value) : sample;

    this.#values = [value, ...this.#values.slice(0, this.#config.solver_order - 1)];
    const order = this.#order(index);
    this.#previous = { sample: start, order };
    return this.#solve(start, index, order);
  }

  #predict(index: number, modelOutput: Float32Array, sample: Float32Array): Float32Array {
    const { prediction_type: type, predict_x0: follow } = this.#config;
    const level = this.level(index);
    if (!follow) return predictNoise(type, level, modelOutput, sample);
    return boundPicture(this.#config, predictPicture(type, level, modelOutput, sample));
  }

  /** Moves from stop `index` to the next: the corrector if the prediction at its `end` is given, else the predictor. */
  #solve(sample: Float32Array, index: number, order: number, end?: Float32Array): Float32Array {
    const { predict_x0: picture, solver_type: type } = this.#config;
    const [from, to] = [this.level(index), this.level(index + 1)];
    const h = this.lambda(index + 1) - this.lambda(index);
    const [m0 = sample, ...older] = this.#values;
    const points = older.slice(0, order - 1).map((values, back) => ({
      values,
      at: (this.lambda(index - back - 1) - this.lambda(index)) / h,
    }));
    if (end) points.push({ values: end, at: 1 });

    const signed = picture ? -h : h;
    const [keep, gain] = picture ? [to.sigma / from.sigma, -to.alpha] : [to.alpha / from.alpha, -to.sigma];
    const scale = gain * (type === 'bh1' ? signed : Math.expm1(signed));
    const weights = pointWeights(
      points.map(({ at }) => at),
      signed,
      type,
    );
    const slopes = points.map(({ values, at }, k) => {
      const weight = (scale * (weights[k] ?? 0)) / at;
      return [weight, linearCombination([1, values], [-1, m0])] as const;
    });
    return linearCombination([keep, sample], [gain * Math.expm1(signed), m0], ...slopes);
  }

  /** Order of a step: limited by the known predictions, and lowered at the end if asked for, or for a finite last step. */
  #order(index: number): number {
    const left = this.timesteps.length - index;
    const most =
      this.#config.lower_order_final || this.sigmas[index + 1] === 0 ? left : Number.POSITIVE_INFINITY;
    return Math.min(this.#values.length, most);
  }
}

/** Weights of the difference quotients to each point: equation 11 of the paper, solved for the weights. */
function pointWeights(points: readonly number[], hh: number, type: 'bh1' | 'bh2'): number[] {
  // For a single point the paper uses the limit ½ instead of the solution.
  if (points.length <= 1) return points.map(() => 0.5);
  const b = type === 'bh1' ? hh : Math.expm1(hh);
  let phi = Math.expm1(hh) / hh - 1;
  let factorial = 1;
  const right = points.map((_, k) => {
    const value = (phi * factorial) / b;
    factorial *= k + 2;
    phi = phi / hh - 1 / factorial;
    return value;
  });
  return solveVandermonde(points, right);
}

/** Solves `Σ w·point^k = right[k]`: each w is its point's Lagrange polynomial, with `right[k]` in place of x^k. */
function solveVandermonde(points: readonly number[], right: readonly number[]): number[] {
  return points.map((own) => {
    let polynomial = [1]; // coefficients of x⁰, x¹ …
    for (const root of points.filter((other) => other !== own)) {
      const lower = polynomial;
      polynomial = Array.from({ length: lower.length + 1 }, (_, k) => {
        return ((lower[k - 1] ?? 0) - root * (lower[k] ?? 0)) / (own - root);
      });
    }
    return polynomial.reduce((sum, coefficient, k) => sum + coefficient * (right[k] ?? 0), 0);
  });
}
