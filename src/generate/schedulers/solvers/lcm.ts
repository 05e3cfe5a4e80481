import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { levelOfAlpha, predictPicture } from '../prediction.ts';
import { alphaAt, cumulativeAlphas } from '../schedule/noise-schedule.ts';
import { noiseFor, type Scheduler, type StepOptions } from '../scheduler.ts';
import { between, flag, inert, predictionType } from '../scheduler-config.ts';
import { StepPosition } from '../step-position.ts';
import { boundPicture } from '../thresholding.ts';
import { distillation, distilledFromTraining, distilledTimesteps } from './distillation.ts';

export const lcmConfig = z
  .object({
    ...distillation,
    prediction_type: predictionType.default('epsilon'),
    timestep_scaling: between(0, 1e6).default(10),
    rescale_betas_zero_snr: flag.default(false),
    // Read by diffusers and of no effect there either: the timesteps are those of the distillation.
    set_alpha_to_one: inert,
    steps_offset: inert,
    timestep_spacing: inert,
  })
  .refine(...distilledFromTraining);

/** Luo et al. 2023, "Latent consistency models", algorithm 3: each step guesses the picture and adds noise again. */
export class LcmScheduler implements Scheduler {
  readonly stages = 1;
  readonly initNoiseSigma = 1;
  readonly needsNoise = true;
  timesteps: readonly number[] = [];
  readonly #config: z.infer<typeof lcmConfig>;
  readonly #alphas: Float32Array;
  #position = new StepPosition([]);

  constructor(config: z.infer<typeof lcmConfig>) {
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
    const predicted = predictPicture(this.#config.prediction_type, this.#level(t), modelOutput, sample);
    const picture = boundPicture(this.#config, predicted);
    // The boundary condition: at t = 0 the sample is the picture (equations 8 and 9, σ_data = ½).
    const scaled = t * this.#config.timestep_scaling;
    const denoised = linearCombination(
      [scaled / Math.hypot(scaled, 0.5), picture],
      [0.25 / (scaled ** 2 + 0.25), sample],
    );
    const next = this.timesteps[this.#position.at(t) + 1];
    this.#position.advance();
    if (next === undefined) return denoised;
    const { alpha, sigma } = this.#level(next);
    return linearCombination([alpha, denoised], [sigma, noiseFor('LCMScheduler', options, sample.length)]);
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    const { alpha, sigma } = this.#level(t);
    return linearCombination([alpha, original], [sigma, noise]);
  }

  #level(t: number) {
    return levelOfAlpha(alphaAt(this.#alphas, t, 1));
  }
}
