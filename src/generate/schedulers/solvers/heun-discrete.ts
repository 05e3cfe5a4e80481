import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { oneSpacing, type Stops } from '../schedule/ratio-spacing.ts';
import { betaSchedule, clipRange, flag, predictionType } from '../scheduler-config.ts';
import { eulerStep, type ModelRuns, type RatioStep } from '../steps/ratio-scheduler.ts';
import { TwoStageScheduler, twoStageOptions } from '../steps/two-stage-scheduler.ts';

export const heunDiscreteConfig = z
  .object({
    ...twoStageOptions,
    ...clipRange,
    beta_schedule: z.enum([...betaSchedule.options, 'exp']).default('linear'),
    prediction_type: predictionType.default('epsilon'),
    clip_sample: flag.default(false),
  })
  .refine(...oneSpacing);

/** Heun's method: Karras et al. 2022, algorithm 1; the second model run is at the end of the Euler step. */
export class HeunDiscreteScheduler extends TwoStageScheduler {
  readonly needsNoise = false;
  readonly #clip: number | undefined;

  constructor(config: z.infer<typeof heunDiscreteConfig>) {
    super(config);
    this.#clip = config.clip_sample ? config.clip_sample_range : undefined;
  }

  protected between(_sigma: number, next: number): number {
    return next;
  }

  protected override modelRuns(stops: Stops): ModelRuns {
    const twice = <T>([first, ...rest]: readonly T[]): T[] =>
      first === undefined ? [] : [first, ...rest.flatMap((each) => [each, each])];
    return { timesteps: twice(stops.timesteps).map(Math.fround), ratios: [...twice(stops.ratios), 0] };
  }

  protected first(step: RatioStep): Float32Array {
    return eulerStep(this.#clipped(step), step.next);
  }

  protected second(first: RatioStep, second: RatioStep): Float32Array {
    const slopes = [first, second].map((step) => slopeOf(this.#clipped(step)));
    const half = (second.sigma - first.sigma) / 2;
    return linearCombination([1, first.sample], ...slopes.map((slope) => [half, slope] as const));
  }

  #clipped(step: RatioStep): RatioStep {
    const limit = this.#clip;
    if (limit === undefined) return step;
    return { ...step, picture: step.picture.map((value) => Math.min(Math.max(value, -limit), limit)) };
  }
}

/** Derivative of the sample in σ: (sample − picture) / σ. */
function slopeOf({ sample, picture, sigma }: RatioStep): Float32Array {
  return linearCombination([1 / sigma, sample], [-1 / sigma, picture]);
}
