import { RequestError } from '../../errors.ts';
import type { DrawingSettings } from '../../generate/drawing-settings.ts';
import { schedulerIn } from '../../generate/read-scheduler.ts';
import type { Scheduler } from '../../generate/schedulers/scheduler.ts';
import { type SchedulerName, schedulerCalled } from '../../generate/schedulers/scheduler-names.ts';
import type { GenerateRequest } from './request.ts';

/** A scheduler to draw with. */
export interface ChosenScheduler {
  readonly scheduler: SchedulerName;
  /** Makes a scheduler with the timesteps set. */
  readonly newScheduler: () => Scheduler;
}

/**
 * Chooses the schedulers: those to compare, else the one that was asked for, else the checkpoint's own. Throws `RequestError`
 * for unknown names, and what `createScheduler` throws for schedulers that do not fit the model.
 */
export function chooseSchedulers(
  { scheduler, compareSchedulers, steps }: GenerateRequest,
  settings: DrawingSettings,
): readonly [ChosenScheduler, ...ChosenScheduler[]] {
  if (scheduler !== undefined && compareSchedulers.length > 0)
    throw new RequestError({
      problem: 'one scheduler is to be used, and others are to be compared.',
      advice: 'Pass --scheduler or --compare-schedulers, not both.',
    });
  const choose = (asked: string | undefined): ChosenScheduler => {
    const newScheduler = () => {
      const made = schedulerIn(settings.schedulerFile, settings.scheduler, asked);
      made.setTimesteps(steps);
      return made;
    };
    newScheduler(); // refuses what does not fit before anything is loaded
    return { scheduler: schedulerCalled(asked ?? String(settings.scheduler._class_name)), newScheduler };
  };
  const [first, ...others] = compareSchedulers;
  if (first === undefined) return [choose(scheduler)];
  return [choose(first), ...others.map(choose)];
}
