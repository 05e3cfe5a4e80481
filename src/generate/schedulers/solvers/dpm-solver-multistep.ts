import { z } from 'zod';
import { noiseOf, type PredictionType, predictNoise, predictPicture } from '../prediction.ts';
import { cumulativeAlphas, noiseRatios } from '../schedule/noise-schedule.ts';
import { oneSpacing, ratioEnds, ratioSpacing } from '../schedule/ratio-spacing.ts';
import {
  finalRatio,
  flowOptions,
  flowPredictsFlow,
  flowSpacesItself,
  solverStops,
} from '../schedule/solver-stops.ts';
import type { SetTimestepsOptions } from '../scheduler.ts';
import {
  between,
  finalSigmas,
  flag,
  solverOrder,
  solverType,
  stepsOffset,
  thresholding,
  timestepSpacing,
  trainingNoise,
  unset,
  wordOf,
} from '../scheduler-config.ts';
import { type DpmAlgorithm, followsPicture } from '../steps/dpm-solver-step.ts';
import { MultistepDpmScheduler } from '../steps/multistep-dpm-scheduler.ts';
import { boundPicture } from '../thresholding.ts';

/**
 * Lowest λ = ln(alpha / sigma) at which a step may start; at 0 there is as much picture as noise. diffusers writes
 * -Infinity, which is not valid JSON; some readers pass it on as a string.
 */
export const lambdaMinClipped = z
  .union(
    [between(-1000, 0), z.literal(-Infinity), z.literal('-Infinity')],
    'a number from -1000 to 0, or -Infinity',
  )
  .default(-Infinity)
  .transform(Number);

/** Check for zod's `refine`: algorithms that integrate the noise cannot end at zero noise. */
export const endsInNoise: readonly [
  (config: { readonly algorithm_type: DpmAlgorithm; readonly final_sigmas_type: string }) => boolean,
  { path: string[]; error: string },
] = [
  (config) => followsPicture(config.algorithm_type) || config.final_sigmas_type === 'sigma_min',
  {
    path: ['final_sigmas_type'],
    error: '"sigma_min", because algorithm_type integrates the predicted noise',
  },
];

export const dpmSolverMultistepConfig = z
  .object({
    ...trainingNoise,
    ...thresholding,
    ...ratioSpacing,
    ...ratioEnds,
    ...flowOptions,
    use_lu_lambdas: flag.default(false),
    solver_order: solverOrder,
    algorithm_type: wordOf(
      ['dpmsolver++', 'sde-dpmsolver++', 'dpmsolver', 'sde-dpmsolver'],
      ['deis'],
      'dpmsolver++',
    ),
    solver_type: solverType,
    lower_order_final: flag.default(true),
    euler_at_final: flag.default(false),
    final_sigmas_type: finalSigmas,
    lambda_min_clipped: lambdaMinClipped,
    variance_type: unset,
    timestep_spacing: timestepSpacing.default('linspace'),
    steps_offset: stepsOffset,
    rescale_betas_zero_snr: flag.default(false),
  })
  .refine(...oneSpacing)
  .refine(...flowPredictsFlow)
  .refine(...flowSpacesItself)
  .refine(...endsInNoise)
  .refine((config) => config.solver_order < 3 || config.algorithm_type !== 'sde-dpmsolver', {
    path: ['solver_order'],
    error: '1 or 2, because algorithm_type is "sde-dpmsolver"',
  });

/** Multistep DPM-Solver and DPM-Solver++, orders 1 to 3, and their SDE variants. */
export class DpmSolverMultistepScheduler extends MultistepDpmScheduler {
  readonly #config: z.infer<typeof dpmSolverMultistepConfig>;
  readonly #table: Float32Array;

  constructor(config: z.infer<typeof dpmSolverMultistepConfig>) {
    super(config, config.use_flow_sigmas);
    this.#config = config;
    const zeroSnr = config.rescale_betas_zero_snr;
    this.#table = noiseRatios(cumulativeAlphas(config, zeroSnr), zeroSnr);
  }

  setTimesteps(count: number, { mu }: SetTimestepsOptions = {}): void {
    const usable = this.#table.filter((ratio) => -Math.log(ratio) >= this.#config.lambda_min_clipped).length;
    const rounded = this.#config.beta_schedule !== 'squaredcos_cap_v2';
    const stops = solverStops(this.#config, { table: this.#table, usable, count, rounded, mu });
    this.begin(stops, finalRatio(this.#config, this.#table));
  }

  protected predict(index: number, modelOutput: Float32Array, sample: Float32Array): Float32Array {
    return predictValue(this.#config, this.level(index), modelOutput, sample);
  }
}

/** Options for the prediction that a step of DPM-Solver integrates. */
interface ValueConfig {
  readonly algorithm_type: DpmAlgorithm;
  readonly prediction_type: PredictionType;
  readonly thresholding: boolean;
  readonly dynamic_thresholding_ratio: number;
  readonly sample_max_value: number;
}

/** Predicted picture or noise, whichever the algorithm integrates, within the configuration's bounds. */
export function predictValue(
  config: ValueConfig,
  level: { readonly alpha: number; readonly sigma: number },
  modelOutput: Float32Array,
  sample: Float32Array,
): Float32Array {
  const { prediction_type: type } = config;
  const noise = !followsPicture(config.algorithm_type);
  if (noise && !config.thresholding) return predictNoise(type, level, modelOutput, sample);
  const picture = boundPicture(config, predictPicture(type, level, modelOutput, sample));
  return noise ? noiseOf(sample, picture, level) : picture;
}
