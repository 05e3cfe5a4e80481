import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { checkSteps } from '../schedule/noise-schedule.ts';
import type { Scheduler } from '../scheduler.ts';
import { noisePrediction } from '../scheduler-config.ts';
import { StepPosition } from '../step-position.ts';
import { edmFalls, edmInput, edmOptions, edmPicture, edmRatios, edmTimestep } from '../steps/edm.ts';
import { eulerStep } from '../steps/ratio-scheduler.ts';

export const edmEulerConfig = z
  .object({
    ...edmOptions,
    sigma_schedule: z.enum(['karras', 'exponential']).default('karras'),
    prediction_type: noisePrediction,
  })
  .refine(...edmFalls);

/** Euler's method for EDM models: Karras et al. 2022, algorithm 2 without churn. */
export class EdmEulerScheduler implements Scheduler {
  readonly stages = 1;
  readonly needsNoise = false;
  timesteps: readonly number[] = [];
  /** Noise over picture at each timestep and after the last step. */
  sigmas = new Float32Array();
  readonly #config: z.infer<typeof edmEulerConfig>;
  #position = new StepPosition([]);

  constructor(config: z.infer<typeof edmEulerConfig>) {
    this.#config = config;
  }

  get initNoiseSigma(): number {
    return Math.hypot(this.#config.sigma_max, 1);
  }

  setTimesteps(count: number): void {
    checkSteps(count, this.#config.num_train_timesteps);
    const ratios = edmRatios(this.#config, count, true);
    this.timesteps = Array.from(ratios, edmTimestep);
    const last = this.#config.final_sigmas_type === 'zero' ? 0 : (ratios.at(-1) ?? 0);
    this.sigmas = Float32Array.from([...ratios, last]);
    this.#position = new StepPosition(this.timesteps);
  }

  scaleModelInput(sample: Float32Array, t: number): Float32Array {
    return edmInput(this.#config.sigma_data, this.#sigma(this.#position.at(t)), sample);
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array): Float32Array {
    const index = this.#position.at(t);
    const sigma = this.#sigma(index);
    const picture = edmPicture(this.#config, sigma, modelOutput, sample);
    this.#position.advance();
    return eulerStep({ sample, picture, sigma }, this.#sigma(index + 1));
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    return linearCombination([1, original], [this.#sigma(this.#position.find(t)), noise]);
  }

  #sigma(index: number): number {
    return this.sigmas[index] ?? 0;
  }
}
