import type { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import type { Stops } from '../schedule/ratio-spacing.ts';
import { roundHalfEven } from '../schedule/round-half-even.ts';
import { eulerStep, type RatioStep } from './ratio-scheduler.ts';
import { TwoStageScheduler, type twoStageOptions } from './two-stage-scheduler.ts';

/** DPM-Solver-2 as in k-diffusion (K. Crowson): an Euler step to the second model run, whose derivative moves the whole step. */
export abstract class Kdpm2Scheduler extends TwoStageScheduler {
  readonly #karras: boolean;

  constructor(config: z.infer<z.ZodObject<typeof twoStageOptions>>) {
    super(config);
    this.#karras = config.use_karras_sigmas;
  }

  protected override stops(count: number): Stops {
    const { timesteps, ratios } = super.stops(count);
    return { ratios, timesteps: this.#karras ? timesteps.map(roundHalfEven) : timesteps };
  }

  protected first(step: RatioStep): Float32Array {
    return eulerStep(step, step.next);
  }
}

const round = Math.fround;

/** Half-way in ln σ, rounded to float32 as in diffusers, because timesteps are computed from it. */
export function logMiddle(start: number, end: number): number {
  const [from, to] = [round(Math.log(start)), round(Math.log(end))];
  return round(Math.exp(round(to - round(round(to - from) / 2))));
}

/** Moves the first run's sample to noise ratio `to` with the second run's derivative. */
export function alongSlope(first: RatioStep, second: RatioStep, to: number): Float32Array {
  const part = (to - first.sigma) / second.sigma;
  return linearCombination([1, first.sample], [part, second.sample], [-part, second.picture]);
}
