import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { predictPicture } from '../prediction.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
import { between, flag, inert, predictionType } from '../scheduler-config.ts';
import { boundPicture } from '../thresholding.ts';
import { DistilledScheduler, distillation, distilledFromTraining } from './distillation.ts';

export const lcmConfig = z
  .object({
    ...distillation,
    prediction_type: predictionType.default('epsilon'),
    timestep_scaling: between(0, 1e6).default(10),
    rescale_betas_zero_snr: flag.default(false),
    // These have no effect in diffusers either: the timesteps are those of the distillation.
    set_alpha_to_one: inert,
    steps_offset: inert,
    timestep_spacing: inert,
  })
  .refine(...distilledFromTraining);

/** Luo et al. 2023, "Latent consistency models", algorithm 3: each step predicts the picture and adds noise again. */
export class LcmScheduler extends DistilledScheduler {
  readonly #config: z.infer<typeof lcmConfig>;

  constructor(config: z.infer<typeof lcmConfig>) {
    super(config);
    this.#config = config;
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const predicted = predictPicture(this.#config.prediction_type, this.level(t), modelOutput, sample);
    const picture = boundPicture(this.#config, predicted);
    // The boundary condition: at t = 0 the sample is the picture (equations 8 and 9, σ_data = ½).
    const scaled = t * this.#config.timestep_scaling;
    const denoised = linearCombination(
      [scaled / Math.hypot(scaled, 0.5), picture],
      [0.25 / (scaled ** 2 + 0.25), sample],
    );
    const next = this.advance(t);
    if (next === undefined) return denoised;
    const { alpha, sigma } = this.level(next);
    return linearCombination([alpha, denoised], [sigma, noiseFor('LCMScheduler', options, sample.length)]);
  }
}
