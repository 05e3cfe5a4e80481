import { RequestError } from '../../errors.ts';
import { roundHalfEven } from '../schedulers/schedule/round-half-even.ts';
import type { Scheduler } from '../schedulers/scheduler.ts';

/** Timesteps that a pipeline runs, as diffusers' pipelines select them. */

/**
 * Timesteps that image-to-image runs out of `steps` steps. Throws `RequestError` when there are none.
 */
export function timestepsLeft(
  { timesteps, stages }: Scheduler,
  steps: number,
  strength: number,
): readonly number[] {
  const count = Math.floor(steps * strength);
  // PNDM has one timestep more than steps, so that one is left even of no step.
  if (count >= 1 && strength <= 1) return timesteps.slice((steps - count) * stages);
  throw new RequestError({
    problem: `a strength of ${strength} leaves none of the ${steps} steps to run.`,
    details: { expected: 'more than 0, at most 1, and at least one step', found: String(strength) },
    advice: `Use --strength ${Math.min(1, Math.ceil(100 / steps) / 100)} or more, or more steps.`,
  });
}

/** Denoising that a base model starts and a refiner finishes. */
export interface RefinerSplit {
  /** Share of the timesteps before the refiner, above 0 and below 1 (`denoising_end` of the base, `denoising_start` of the refiner). */
  readonly refinerStart: number;
  /** `num_train_timesteps`, usually 1000. */
  readonly trainSteps: number;
}

/** Timesteps that the base model runs. */
export function baseTimesteps(timesteps: readonly number[], split: RefinerSplit): readonly number[] {
  return timesteps.slice(0, timesteps.filter((timestep) => timestep >= firstOfRefiner(split)).length);
}

/** Timesteps that the refiner runs, from the start of a step on. */
export function refinerTimesteps({ timesteps, stages }: Scheduler, split: RefinerSplit): readonly number[] {
  const { length: count } = timesteps.filter((timestep) => timestep < firstOfRefiner(split));
  // Every step but the last runs the model twice.
  const whole = stages === 2 && count % 2 === 0 ? count + 1 : count;
  return timesteps.slice(Math.max(0, timesteps.length - whole));
}

function firstOfRefiner({ refinerStart, trainSteps }: RefinerSplit): number {
  return roundHalfEven(trainSteps - refinerStart * trainSteps);
}
