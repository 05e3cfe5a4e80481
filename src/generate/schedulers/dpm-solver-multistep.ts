import { z } from 'zod';
import { roundHalfEven } from '../round-half-even.ts';
import { linearCombination } from './linear-combination.ts';
import { cumulativeAlphas, noiseRatios } from './noise-schedule.ts';
import { levelOfRatio, predictPicture } from './prediction.ts';
import { oneSpacing, ratioSpacing } from './ratio-spacing.ts';
import { noiseFor, type Scheduler, type StepOptions } from './scheduler.ts';
import {
  finalSigmas,
  flag,
  off,
  otherSpacings,
  predictionType,
  thresholding,
  timestepSpacing,
  trainingNoise,
  unset,
} from './scheduler-config.ts';
import { solverStops } from './solver-stops.ts';
import { StepPosition } from './step-position.ts';

export const dpmSolverMultistepConfig = z
  .object({
    ...trainingNoise,
    ...thresholding,
    ...ratioSpacing,
    ...otherSpacings,
    use_lu_lambdas: off,
    solver_order: z.union([z.literal(1), z.literal(2), z.literal(3)], '1, 2 or 3').default(2),
    prediction_type: predictionType.default('epsilon'),
    algorithm_type: z.enum(['dpmsolver++', 'sde-dpmsolver++']).default('dpmsolver++'),
    solver_type: z.enum(['midpoint', 'heun']).default('midpoint'),
    lower_order_final: flag.default(true),
    euler_at_final: flag.default(false),
    final_sigmas_type: finalSigmas,
    // JSON has no infinity; diffusers writes it all the same, and readers may hand it on as a text.
    lambda_min_clipped: z
      .union([z.number(), z.literal(-Infinity), z.literal('-Infinity')])
      .default(-Infinity),
    variance_type: unset,
    timestep_spacing: timestepSpacing.default('linspace'),
    steps_offset: z.int().default(0),
    rescale_betas_zero_snr: flag.default(false),
  })
  .refine(...oneSpacing);

/** DPM-Solver++ and its stochastic form, orders 1 to 3: Lu et al. 2022, "DPM-Solver++", algorithm 2 and appendix B. */
export class DpmSolverMultistepScheduler implements Scheduler {
  readonly initNoiseSigma = 1;
  readonly needsNoise: boolean;
  timesteps: readonly number[] = [];
  /** Noise over picture at each timestep and after the last one. */
  sigmas = new Float32Array();
  readonly #config: z.infer<typeof dpmSolverMultistepConfig>;
  readonly #table: Float32Array;
  #position = new StepPosition([]);
  /** The last predicted pictures, the newest first. */
  #pictures: readonly Float32Array[] = [];

  constructor(config: z.infer<typeof dpmSolverMultistepConfig>) {
    this.#config = config;
    this.needsNoise = config.algorithm_type === 'sde-dpmsolver++';
    const zeroSnr = config.rescale_betas_zero_snr;
    this.#table = noiseRatios(cumulativeAlphas(config, zeroSnr), zeroSnr);
  }

  setTimesteps(count: number): void {
    const { lambda_min_clipped: clip, use_karras_sigmas: karras, beta_schedule: schedule } = this.#config;
    const usable = this.#table.filter((ratio) => -Math.log(ratio) >= Number(clip)).length;
    const { timesteps, ratios } = solverStops(this.#config, this.#table, usable, count);
    this.timesteps = timesteps.map(karras && schedule !== 'squaredcos_cap_v2' ? roundHalfEven : Math.trunc);
    this.sigmas = Float32Array.from(ratios);
    this.#position = new StepPosition(this.timesteps);
    this.#pictures = [];
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const index = this.#position.at(t);
    const level = levelOfRatio(this.#sigma(index));
    const picture = predictPicture(this.#config.prediction_type, level, modelOutput, sample);
    this.#pictures = [picture, ...this.#pictures.slice(0, this.#config.solver_order - 1)];
    const next = this.#solve(index, sample, options);
    this.#position.advance();
    return next;
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    const { alpha, sigma } = levelOfRatio(this.#sigma(this.#position.find(t)));
    return linearCombination([alpha, original], [sigma, noise]);
  }

  #solve(index: number, sample: Float32Array, options: StepOptions): Float32Array {
    const from = levelOfRatio(this.#sigma(index));
    const to = levelOfRatio(this.#sigma(index + 1));
    const [m0 = sample, m1 = m0, m2 = m1] = this.#pictures;
    const h = this.#width(index);
    const stochastic = this.#config.algorithm_type === 'sde-dpmsolver++';
    // The stochastic solver takes the same step with twice the width, and gives back as noise what it forgot.
    const width = stochastic ? 2 * h : h;
    const forget = -Math.expm1(-width);
    const keep = (to.sigma / from.sigma) * (stochastic ? Math.exp(-h) : 1);
    const noise = stochastic
      ? ([[to.sigma * Math.sqrt(forget), noiseFor('sde-dpmsolver++', options)]] as const)
      : [];
    const firstOrder = [[keep, sample], [to.alpha * forget, m0], ...noise] as const;

    const order = this.#order(index);
    if (order === 1) return linearCombination(...firstOrder);

    const slope = to.alpha * (1 - forget / width);
    const r0 = this.#width(index - 1) / h;
    const d0 = linearCombination([1 / r0, m0], [-1 / r0, m1]);
    if (order === 2) {
      const weight = this.#config.solver_type === 'heun' ? slope : (to.alpha * forget) / 2;
      return linearCombination(...firstOrder, [weight, d0]);
    }

    const r1 = this.#width(index - 2) / h;
    const d1 = linearCombination([1 / r1, m1], [-1 / r1, m2]);
    const first = linearCombination([1 + r0 / (r0 + r1), d0], [-r0 / (r0 + r1), d1]);
    const second = linearCombination([1 / (r0 + r1), d0], [-1 / (r0 + r1), d1]);
    // The sign before ½ of the stochastic form is diffusers'; the paper has no such form of order 3.
    const bend = to.alpha * ((forget - width) / width ** 2 + (stochastic ? -0.5 : 0.5));
    return linearCombination(...firstOrder, [slope, first], [bend, second]);
  }

  /** The order of this step: it grows with the pictures at hand, and falls at the end where asked for. */
  #order(index: number): number {
    const { euler_at_final: euler, lower_order_final: lower, final_sigmas_type: final } = this.#config;
    const left = this.timesteps.length - index;
    const lowered = lower && this.timesteps.length < 15;
    if (left === 1 && (euler || lowered || final === 'zero')) return 1;
    return Math.min(this.#pictures.length, left === 2 && lowered ? 2 : 3);
  }

  /** How far apart the stops `index` and `index + 1` are in log(picture over noise). */
  #width(index: number): number {
    return Math.log(this.#sigma(index) / this.#sigma(index + 1));
  }

  #sigma(index: number): number {
    return this.sigmas[index] ?? 0;
  }
}
