import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { oneSpacing, type Stops } from '../schedule/ratio-spacing.ts';
import { roundHalfEven } from '../schedule/round-half-even.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
import { ancestralSplit, eulerStep, type RatioStep } from '../steps/ratio-scheduler.ts';
import { TwoStageScheduler, twoStageOptions } from '../steps/two-stage-scheduler.ts';
import { alongSlope, logMiddle } from './kdpm2-discrete.ts';

export const kdpm2AncestralDiscreteConfig = z.object(twoStageOptions).refine(...oneSpacing);

/** DPM-Solver-2 that goes further down than asked and comes back up with fresh noise (k-diffusion, K. Crowson). */
export class Kdpm2AncestralDiscreteScheduler extends TwoStageScheduler {
  readonly needsNoise = true;
  readonly #karras: boolean;

  constructor(config: z.infer<typeof kdpm2AncestralDiscreteConfig>) {
    super(config);
    this.#karras = config.use_karras_sigmas;
  }

  protected override stops(count: number): Stops {
    const { timesteps, ratios } = super.stops(count);
    return { ratios, timesteps: this.#karras ? timesteps.map(roundHalfEven) : timesteps };
  }

  protected between(sigma: number, next: number): number {
    return logMiddle(sigma, roundedDown(sigma, next));
  }

  protected first(step: RatioStep): Float32Array {
    return eulerStep(step, step.next);
  }

  protected second(first: RatioStep, second: RatioStep, options: StepOptions): Float32Array {
    const { down, up } = ancestralSplit(first.sigma, second.next);
    const noise = noiseFor('KDPM2AncestralDiscreteScheduler', options, first.sample.length);
    return linearCombination([1, alongSlope(first, second, down)], [up, noise]);
  }
}

const round = Math.fround;

/** How far down a step overshoots, rounded as diffusers rounds it, because timesteps are read off it. */
function roundedDown(sigma: number, next: number): number {
  const [from, to] = [round(sigma ** 2), round(next ** 2)];
  const up = round(Math.sqrt(round(round(to * round(from - to)) / from)));
  return round(Math.sqrt(round(to - round(up ** 2))));
}
