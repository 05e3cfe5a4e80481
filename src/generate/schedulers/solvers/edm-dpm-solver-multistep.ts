import { z } from 'zod';
import { checkSteps } from '../schedule/noise-schedule.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
import { flag, noisePrediction, solverOrder, solverType, thresholding, wordOf } from '../scheduler-config.ts';
import { dpmSolverStep, isStochastic, stepWeights } from '../steps/dpm-solver-step.ts';
import { edmFalls, edmInput, edmOptions, edmPicture, edmRatios, edmTimestep } from '../steps/edm.ts';
import { multistepExpansion } from '../steps/multistep-expansion.ts';
import { SolverScheduler } from '../steps/solver-scheduler.ts';
import { boundPicture } from '../thresholding.ts';
import { multistepOrder } from './dpm-solver-multistep.ts';

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

/** DPM-Solver++ for EDM: the same steps between noise ratios, over a picture that keeps its strength. */
export class EdmDpmSolverMultistepScheduler extends SolverScheduler {
  readonly needsNoise: boolean;
  readonly #config: z.infer<typeof edmDpmSolverMultistepConfig>;
  /** The last predicted pictures, the newest first. */
  #pictures: readonly Float32Array[] = [];

  constructor(config: z.infer<typeof edmDpmSolverMultistepConfig>) {
    super(false);
    this.#config = config;
    this.needsNoise = isStochastic(config.algorithm_type);
  }

  override get initNoiseSigma(): number {
    return Math.hypot(this.#config.sigma_max, 1);
  }

  setTimesteps(count: number): void {
    checkSteps(count, this.#config.num_train_timesteps);
    const ratios = Array.from(edmRatios(this.#config, count, false));
    const { final_sigmas_type: final, sigma_min: min } = this.#config;
    this.begin({ ratios, timesteps: ratios.map(edmTimestep) }, final === 'zero' ? 0 : min);
    this.#pictures = [];
  }

  override scaleModelInput(sample: Float32Array, t: number): Float32Array {
    return edmInput(this.#config.sigma_data, this.level(this.at(t)).sigma, sample);
  }

  protected override level(index: number) {
    return { alpha: 1, sigma: this.sigmas[index] ?? 0 };
  }

  protected move(
    index: number,
    modelOutput: Float32Array,
    sample: Float32Array,
    options: StepOptions,
  ): Float32Array {
    const { algorithm_type: algorithm, solver_type: type, solver_order: most } = this.#config;
    const [from, to] = [this.level(index), this.level(index + 1)];
    const picture = boundPicture(this.#config, edmPicture(this.#config, from.sigma, modelOutput, sample));
    this.#pictures = [picture, ...this.#pictures.slice(0, most - 1)];
    const order = multistepOrder(this.#config, {
      known: this.#pictures.length,
      left: this.timesteps.length - index,
      count: this.timesteps.length,
    });
    const h = this.lambda(index + 1) - this.lambda(index);
    const expansion = multistepExpansion(order, this.#pictures, (back) => this.lambda(index - back), h);
    const noise = this.needsNoise ? noiseFor(algorithm, options, sample.length) : undefined;
    const midpoint = type === 'midpoint' && order === 2;
    return dpmSolverStep(stepWeights(algorithm, { from, to, h }), sample, expansion, { midpoint, noise });
  }
}
