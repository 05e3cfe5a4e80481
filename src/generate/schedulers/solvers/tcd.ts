import { z } from 'zod';
import { RequestError } from '../../../errors.ts';
import { linearCombination } from '../linear-combination.ts';
import { levelOfAlpha, predictNoise, predictPicture } from '../prediction.ts';
import { alphaAt, cumulativeAlphas } from '../schedule/noise-schedule.ts';
import { noiseFor, type Scheduler, type StepOptions } from '../scheduler.ts';
import { flag, inert, predictionType } from '../scheduler-config.ts';
import { StepPosition } from '../step-position.ts';
import { distillation, distilledFromTraining, distilledTimesteps } from './distillation.ts';

export const tcdConfig = z
  .object({
    ...distillation,
    prediction_type: predictionType.default('epsilon'),
    rescale_betas_zero_snr: flag.default(false),
    // Read by diffusers and of no effect there either.
    set_alpha_to_one: inert,
    steps_offset: inert,
    timestep_spacing: inert,
    timestep_scaling: inert,
  })
  .refine(...distilledFromTraining);

/** Zheng et al. 2024, "Trajectory consistency distillation", algorithm 4: each step jumps below its end and adds noise. */
export class TcdScheduler implements Scheduler {
  readonly stages = 1;
  readonly initNoiseSigma = 1;
  readonly needsNoise = true;
  timesteps: readonly number[] = [];
  readonly #config: z.infer<typeof tcdConfig>;
  readonly #alphas: Float32Array;
  #position = new StepPosition([]);

  constructor(config: z.infer<typeof tcdConfig>) {
    this.#config = config;
    this.#alphas = cumulativeAlphas(config, config.rescale_betas_zero_snr);
  }

  setTimesteps(count: number): void {
    const { original_inference_steps: original, num_train_timesteps: trainSteps } = this.#config;
    this.timesteps = distilledTimesteps({ count, original, trainSteps });
    this.#position = new StepPosition(this.timesteps);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const eta = options.eta ?? 0.3;
    if (!(eta >= 0 && eta <= 1))
      throw new RequestError({
        problem: 'TCDScheduler cannot add that much noise.',
        details: { expected: 'an eta from 0 to 1', found: String(eta) },
      });
    const next = this.timesteps[this.#position.at(t) + 1];
    this.#position.advance();
    const below = Math.floor(Math.fround(Math.fround(1 - eta) * (next ?? 0)));
    const { prediction_type: type } = this.#config;
    const [from, to] = [levelOfAlpha(this.#alpha(t)), levelOfAlpha(this.#alpha(below))];
    const jumped = linearCombination(
      [to.alpha, predictPicture(type, from, modelOutput, sample)],
      [to.sigma, predictNoise(type, from, modelOutput, sample)],
    );
    if (eta === 0 || next === undefined) return jumped;
    const kept = this.#alpha(next) / this.#alpha(below);
    const noise = noiseFor('TCDScheduler', options, sample.length);
    return linearCombination([Math.sqrt(kept), jumped], [Math.sqrt(1 - kept), noise]);
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    const { alpha, sigma } = levelOfAlpha(this.#alpha(t));
    return linearCombination([alpha, original], [sigma, noise]);
  }

  #alpha(t: number): number {
    return alphaAt(this.#alphas, t, 1);
  }
}
