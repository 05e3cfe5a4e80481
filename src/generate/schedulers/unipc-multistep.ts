import { z } from 'zod';
import { roundHalfEven } from '../round-half-even.ts';
import { linearCombination } from './linear-combination.ts';
import { cumulativeAlphas, noiseRatios } from './noise-schedule.ts';
import { levelOfRatio, predictPicture } from './prediction.ts';
import { oneSpacing, ratioSpacing } from './ratio-spacing.ts';
import type { Scheduler } from './scheduler.ts';
import {
  finalSigmas,
  flag,
  otherSpacings,
  predictionType,
  thresholding,
  timestepSpacing,
  trainingNoise,
  unset,
} from './scheduler-config.ts';
import { solverStops } from './solver-stops.ts';
import { StepPosition } from './step-position.ts';

export const unipcMultistepConfig = z
  .object({
    ...trainingNoise,
    ...thresholding,
    ...ratioSpacing,
    ...otherSpacings,
    solver_order: z.union([z.literal(1), z.literal(2), z.literal(3)], '1, 2 or 3').default(2),
    prediction_type: predictionType.default('epsilon'),
    predict_x0: z.literal(true, 'true').default(true),
    solver_type: z.enum(['bh1', 'bh2']).default('bh2'),
    lower_order_final: flag.default(true),
    disable_corrector: z.array(z.int()).default([]),
    solver_p: unset,
    timestep_spacing: timestepSpacing.default('linspace'),
    steps_offset: z.int().default(0),
    final_sigmas_type: finalSigmas,
    rescale_betas_zero_snr: flag.default(false),
    sigma_min: unset,
    sigma_max: unset,
    shift_terminal: unset,
  })
  .refine(...oneSpacing);

/** Predictor and corrector over the same points: Zhao et al. 2023, "UniPC", algorithms 5 to 8, data prediction. */
export class UniPcMultistepScheduler implements Scheduler {
  readonly initNoiseSigma = 1;
  readonly needsNoise = false;
  timesteps: readonly number[] = [];
  /** Noise over picture at each timestep and after the last one. */
  sigmas = new Float32Array();
  readonly #config: z.infer<typeof unipcMultistepConfig>;
  readonly #table: Float32Array;
  #position = new StepPosition([]);
  /** The last predicted pictures, the newest first. */
  #pictures: readonly Float32Array[] = [];
  #previous: { readonly sample: Float32Array; readonly order: number } | undefined;

  constructor(config: z.infer<typeof unipcMultistepConfig>) {
    this.#config = config;
    const zeroSnr = config.rescale_betas_zero_snr;
    this.#table = noiseRatios(cumulativeAlphas(config, zeroSnr), zeroSnr);
  }

  setTimesteps(count: number): void {
    const { timesteps, ratios } = solverStops(this.#config, this.#table, this.#table.length, count);
    this.timesteps = timesteps.map(this.#config.use_karras_sigmas ? roundHalfEven : Math.trunc);
    this.sigmas = Float32Array.from(ratios);
    this.#position = new StepPosition(this.timesteps);
    this.#pictures = [];
    this.#previous = undefined;
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array): Float32Array {
    const index = this.#position.at(t);
    const level = levelOfRatio(this.#sigma(index));
    const picture = predictPicture(this.#config.prediction_type, level, modelOutput, sample);
    // The step that led here is taken again, now that the model has said what is at its end.
    const again = this.#config.disable_corrector.includes(index - 1) ? undefined : this.#previous;
    const start = again ? this.#move(again.sample, index - 1, again.order, picture) : sample;

    this.#pictures = [picture, ...this.#pictures.slice(0, this.#config.solver_order - 1)];
    const order = this.#order(index);
    this.#previous = { sample: start, order };
    const next = this.#move(start, index, order);
    this.#position.advance();
    return next;
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    const { alpha, sigma } = levelOfRatio(this.#sigma(this.#position.find(t)));
    return linearCombination([alpha, original], [sigma, noise]);
  }

  /** From stop `index` to the next one; with the picture predicted at its `end`, the corrector, else the predictor. */
  #move(sample: Float32Array, index: number, order: number, end?: Float32Array): Float32Array {
    const from = levelOfRatio(this.#sigma(index));
    const to = levelOfRatio(this.#sigma(index + 1));
    const h = this.#lambda(index + 1) - this.#lambda(index);
    const [m0 = sample, ...older] = this.#pictures;
    const points = older.slice(0, order - 1).map((values, back) => ({
      values,
      at: (this.#lambda(index - back - 1) - this.#lambda(index)) / h,
    }));
    if (end) points.push({ values: end, at: 1 });

    const scale = -to.alpha * (this.#config.solver_type === 'bh1' ? -h : Math.expm1(-h));
    const weights = pointWeights(
      points.map(({ at }) => at),
      -h,
      this.#config.solver_type,
    );
    const slopes = points.map(({ values, at }, k) => {
      const weight = (scale * (weights[k] ?? 0)) / at;
      return [weight, linearCombination([1, values], [-1, m0])] as const;
    });
    return linearCombination([to.sigma / from.sigma, sample], [-to.alpha * Math.expm1(-h), m0], ...slopes);
  }

  /** Grows with the pictures at hand, and falls towards the end where asked for (and where only order 1 is finite). */
  #order(index: number): number {
    const left = this.timesteps.length - index;
    const most =
      this.#config.lower_order_final || this.#sigma(index + 1) === 0 ? left : Number.POSITIVE_INFINITY;
    return Math.min(this.#pictures.length, most);
  }

  #lambda(index: number): number {
    return -Math.log(this.#sigma(index));
  }

  #sigma(index: number): number {
    return this.sigmas[index] ?? 0;
  }
}

/** How much the difference quotient to each point counts: equation 11 of the paper, solved for the weights. */
function pointWeights(points: readonly number[], hh: number, type: 'bh1' | 'bh2'): number[] {
  // With a single point the paper takes the limit ½ in place of the solution.
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

/** The weights w with `Σ w·point^k = right[k]`: each is its Lagrange polynomial, with `right[k]` in place of x^k. */
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
