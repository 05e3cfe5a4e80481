import { RequestError } from '../../errors.ts';
import { version } from '../../version.ts';
import { withoutPassword } from './connection.ts';
import { versionOfJob } from './read-step-job.ts';
import { jobsIn, type StepQueue } from './step-queue.ts';

/**
 * States of jobs that are still to be done. One that waits for the steps before it is not: one of those is in these states, or has
 * failed, and then it waits for good.
 */
const unfinished = ['active', 'waiting', 'delayed', 'prioritized'] as const;

/** Throws `RequestError` where the queue has unfinished jobs of another version, whose files would be others, and as `versionOfJob`. */
export async function refuseOtherVersion(queue: StepQueue, address: string): Promise<void> {
  const jobs = await jobsIn(queue, unfinished, 1);
  const other = jobs.map(versionOfJob).find((found) => found !== version);
  if (other !== undefined) throw ofAnotherVersion(address, other);
}

/** This version must not touch a queue. */
export function ofAnotherVersion(address: string, other: string): RequestError {
  return new RequestError({
    problem: `the queue at ${withoutPassword(address)} holds jobs of sdconvert ${other}, and this is sdconvert ${version}, which would write other files.`,
    advice: `Run them with npx sdconvert@${other} worker, or wait until they are done.`,
  });
}
