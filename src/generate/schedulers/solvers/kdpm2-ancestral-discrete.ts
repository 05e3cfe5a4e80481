import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { oneSpacing } from '../schedule/ratio-spacing.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
import { alongSlope, Kdpm2Scheduler, logMiddle } from '../steps/kdpm2.ts';
import { ancestralSplit, type RatioStep } from '../steps/ratio-scheduler.ts';
import { twoStageOptions } from '../steps/two-stage-scheduler.ts';

export const kdpm2AncestralDiscreteConfig = z.object(twoStageOptions).refine(...oneSpacing);

/** Ancestral DPM-Solver-2 (k-diffusion, K. Crowson): steps go below the next noise ratio and return with fresh noise. */
export class Kdpm2AncestralDiscreteScheduler extends Kdpm2Scheduler {
  readonly needsNoise = true;

  protected between(sigma: number, next: number): number {
    return logMiddle(sigma, roundedDown(sigma, next));
  }

  protected second(first: RatioStep, second: RatioStep, options: StepOptions): Float32Array {
    const { down, up } = ancestralSplit(first.sigma, second.next);
    const noise = noiseFor('KDPM2AncestralDiscreteScheduler', options, first.sample.length);
    return linearCombination([1, alongSlope(first, second, down)], [up, noise]);
  }
}

const round = Math.fround;

/** `down` of `ancestralSplit`, rounded to float32 as in diffusers, because timesteps are computed from it. */
function roundedDown(sigma: number, next: number): number {
  const [from, to] = [round(sigma ** 2), round(next ** 2)];
  const up = round(Math.sqrt(round(round(to * round(from - to)) / from)));
  return round(Math.sqrt(round(to - round(up ** 2))));
}
