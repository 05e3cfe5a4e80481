import { z } from 'zod';
import { checkSteps } from '../schedule/noise-schedule.ts';
import { flag, noisePrediction, solverOrder, solverType, thresholding, wordOf } from '../scheduler-config.ts';
import { isStochastic } from '../steps/dpm-solver-step.ts';
import { edmFalls, edmInput, edmOptions, edmPicture, edmRatios, edmTimestep } from '../steps/edm.ts';
import { MultistepDpmScheduler } from '../steps/multistep-dpm-scheduler.ts';
import { boundPicture } from '../thresholding.ts';

export const edmDpmSolverMultistepConfig = z
  .object({
    ...edmOptions,
    ...thresholding,
    sigma_schedule: z.enum(['karras', 'exponential']).default('karras'),
    prediction_type: noisePrediction,
    solver_order: solverOrder,
    algorithm_type: wordOf(['dpmsolver++', 'sde-dpmsolver++'], ['deis'], 'dpmsolver++'),
    solver_type: solverType,
    lower_order_final: flag.default(true),
    euler_at_final: flag.default(false),
  })
  .refine(...edmFalls)
  .refine((config) => config.solver_order < 3 || !isStochastic(config.algorithm_type), {
    path: ['solver_order'],
    error: '1 or 2, because algorithm_type is "sde-dpmsolver++"',
  });

/** Multistep DPM-Solver++ for EDM models: the same steps, with alpha 1 at every noise ratio. */
export class EdmDpmSolverMultistepScheduler extends MultistepDpmScheduler {
  readonly #config: z.infer<typeof edmDpmSolverMultistepConfig>;

  constructor(config: z.infer<typeof edmDpmSolverMultistepConfig>) {
    super(config, false);
    this.#config = config;
  }

  override get initNoiseSigma(): number {
    return Math.hypot(this.#config.sigma_max, 1);
  }

  setTimesteps(count: number): void {
    checkSteps(count, this.#config.num_train_timesteps);
    const ratios = Array.from(edmRatios(this.#config, count, false));
    const { final_sigmas_type: final, sigma_min: min } = this.#config;
    this.begin({ ratios, timesteps: ratios.map(edmTimestep) }, final === 'zero' ? 0 : min);
  }

  override scaleModelInput(sample: Float32Array, t: number): Float32Array {
    return edmInput(this.#config.sigma_data, this.level(this.at(t)).sigma, sample);
  }

  protected override level(index: number) {
    return { alpha: 1, sigma: this.sigmas[index] ?? 0 };
  }

  protected predict(index: number, modelOutput: Float32Array, sample: Float32Array): Float32Array {
    return boundPicture(this.#config, edmPicture(this.#config, this.level(index).sigma, modelOutput, sample));
  }
}
