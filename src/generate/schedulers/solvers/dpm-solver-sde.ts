import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { oneSpacing } from '../schedule/ratio-spacing.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
import { inert } from '../scheduler-config.ts';
import { ancestralSplit, eulerStep, type RatioStep } from '../steps/ratio-scheduler.ts';
import { TwoStageScheduler, twoStageOptions } from '../steps/two-stage-scheduler.ts';

export const dpmSolverSdeConfig = z
  .object({ ...twoStageOptions, noise_sampler_seed: inert })
  .refine(...oneSpacing);

/**
 * DPM-Solver++ (SDE) as in k-diffusion (K. Crowson): the second model run is half-way in ln σ, and both runs add noise. The
 * noise is one Brownian motion over σ, so the increment to the middle is part of the increment to the end. diffusers
 * samples the motion with torchsde and its own seed (`noise_sampler_seed`); here it is built from the noise given to
 * `step`, with the same distribution.
 */
export class DpmSolverSdeScheduler extends TwoStageScheduler {
  readonly needsNoise = true;
  /** Noise of the increment to the middle. */
  #early = new Float32Array();

  constructor(config: z.infer<typeof dpmSolverSdeConfig>) {
    super(config);
  }

  protected between(sigma: number, next: number): number {
    return Math.sqrt(sigma * next);
  }

  protected first(step: RatioStep, options: StepOptions): Float32Array {
    if (step.next === 0) return eulerStep(step, 0);
    this.#early = noiseFor('DPMSolverSDEScheduler', options, step.sample.length).slice();
    return ancestralStep(step, step.next, this.#early);
  }

  protected second(first: RatioStep, second: RatioStep, options: StepOptions): Float32Array {
    const late = noiseFor('DPMSolverSDEScheduler', options, first.sample.length);
    const [start, middle, end] = [first.sigma, second.sigma, second.next];
    const noise = linearCombination(
      [Math.sqrt((start - middle) / (start - end)), this.#early],
      [Math.sqrt((middle - end) / (start - end)), late],
    );
    return ancestralStep({ ...first, picture: second.picture }, end, noise);
  }
}

function ancestralStep(step: RatioStep, to: number, noise: Float32Array): Float32Array {
  const { down, up } = ancestralSplit(step.sigma, to);
  return linearCombination([1, eulerStep(step, down)], [Math.min(to, up), noise]);
}
