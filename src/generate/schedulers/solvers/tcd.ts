import { z } from 'zod';
import { RequestError } from '../../../errors.ts';
import { linearCombination } from '../linear-combination.ts';
import { predictNoise, predictPicture } from '../prediction.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
import { flag, inert, predictionType } from '../scheduler-config.ts';
import { DistilledScheduler, distillation, distilledFromTraining } from './distillation.ts';

export const tcdConfig = z
  .object({
    ...distillation,
    prediction_type: predictionType.default('epsilon'),
    rescale_betas_zero_snr: flag.default(false),
    // These have no effect in diffusers either.
    set_alpha_to_one: inert,
    steps_offset: inert,
    timestep_spacing: inert,
    timestep_scaling: inert,
  })
  .refine(...distilledFromTraining);

/** Zheng et al. 2024, "Trajectory consistency distillation", algorithm 4: each step jumps below the next timestep and adds noise to return. */
export class TcdScheduler extends DistilledScheduler {
  readonly #config: z.infer<typeof tcdConfig>;

  constructor(config: z.infer<typeof tcdConfig>) {
    super(config);
    this.#config = config;
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const eta = options.eta ?? 0.3;
    if (!(eta >= 0 && eta <= 1))
      throw new RequestError({
        problem: 'TCDScheduler was given an eta out of range.',
        details: { expected: 'a number from 0 to 1', found: String(eta) },
      });
    const next = this.advance(t);
    const below = Math.floor(Math.fround(Math.fround(1 - eta) * (next ?? 0)));
    const { prediction_type: type } = this.#config;
    const [from, to] = [this.level(t), this.level(below)];
    const jumped = linearCombination(
      [to.alpha, predictPicture(type, from, modelOutput, sample)],
      [to.sigma, predictNoise(type, from, modelOutput, sample)],
    );
    if (eta === 0 || next === undefined) return jumped;
    const kept = this.alpha(next) / this.alpha(below);
    const noise = noiseFor('TCDScheduler', options, sample.length);
    return linearCombination([Math.sqrt(kept), jumped], [Math.sqrt(1 - kept), noise]);
  }
}
