import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { oneSpacing, type Stops } from '../schedule/ratio-spacing.ts';
import { roundHalfEven } from '../schedule/round-half-even.ts';
import { eulerStep, type RatioStep } from '../steps/ratio-scheduler.ts';
import { TwoStageScheduler, twoStageOptions } from '../steps/two-stage-scheduler.ts';

export const kdpm2DiscreteConfig = z.object(twoStageOptions).refine(...oneSpacing);

/** DPM-Solver-2 as k-diffusion has it (K. Crowson): the second run is half-way in ln σ, and the whole step takes its direction. */
export class Kdpm2DiscreteScheduler extends TwoStageScheduler {
  readonly needsNoise = false;
  readonly #karras: boolean;

  constructor(config: z.infer<typeof kdpm2DiscreteConfig>) {
    super(config);
    this.#karras = config.use_karras_sigmas;
  }

  protected override stops(count: number): Stops {
    const { timesteps, ratios } = super.stops(count);
    return { ratios, timesteps: this.#karras ? timesteps.map(roundHalfEven) : timesteps };
  }

  protected between(sigma: number, next: number): number {
    return logMiddle(next, sigma);
  }

  protected first(step: RatioStep): Float32Array {
    return eulerStep(step, step.next);
  }

  protected second(first: RatioStep, second: RatioStep): Float32Array {
    return alongSlope(first, second, second.next);
  }
}

const round = Math.fround;

/** Half-way in ln σ, rounded to float32 as diffusers rounds it, because timesteps are read off it. */
export function logMiddle(start: number, end: number): number {
  const [from, to] = [round(Math.log(start)), round(Math.log(end))];
  return round(Math.exp(round(to - round(round(to - from) / 2))));
}

/** From the first run's sample to noise ratio `to`, in the second run's direction. */
export function alongSlope(first: RatioStep, second: RatioStep, to: number): Float32Array {
  const part = (to - first.sigma) / second.sigma;
  return linearCombination([1, first.sample], [part, second.sample], [-part, second.picture]);
}
