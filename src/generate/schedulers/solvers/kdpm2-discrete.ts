import { z } from 'zod';
import { oneSpacing } from '../schedule/ratio-spacing.ts';
import { alongSlope, Kdpm2Scheduler, logMiddle } from '../steps/kdpm2.ts';
import type { RatioStep } from '../steps/ratio-scheduler.ts';
import { twoStageOptions } from '../steps/two-stage-scheduler.ts';

export const kdpm2DiscreteConfig = z.object(twoStageOptions).refine(...oneSpacing);

/** DPM-Solver-2 (k-diffusion, K. Crowson): the second model run is half-way in ln σ. */
export class Kdpm2DiscreteScheduler extends Kdpm2Scheduler {
  readonly needsNoise = false;

  protected between(sigma: number, next: number): number {
    return logMiddle(next, sigma);
  }

  protected second(first: RatioStep, second: RatioStep): Float32Array {
    return alongSlope(first, second, second.next);
  }
}
