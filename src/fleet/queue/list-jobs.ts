import type { JobType } from 'bullmq';
import { z } from 'zod';
import { checkCall, text } from '../../io/check-call.ts';
import { printable } from '../../text.ts';
import { verdictAt } from '../verdict.ts';
import { connectTo } from './connection.ts';
import { checkListed, resultOfJob } from './read-step-job.ts';
import type { StepResult } from './run-step.ts';
import { placeOf, type QueueStep, queueSteps } from './step-job.ts';
import { jobsIn, openQueue, type StepQueueJob } from './step-queue.ts';

/** The queue whose jobs are listed. */
export interface JobsRequest {
  /** `redis://HOST:PORT`. */
  readonly queue: string;
}

/** States of an item in the order in which they are shown: what needs a person first. */
export const itemStates = ['failed', 'running', 'delayed', 'waiting', 'done'] as const;

type ItemState = (typeof itemStates)[number];

/** An item of the queue. */
export interface QueuedItem extends StepResult {
  readonly item: string;
  readonly id: string;
  readonly state: ItemState;
  /** The step that runs, waits or failed; the last one of an item that is done. */
  readonly step: QueueStep;
  /** Attempts at the step so far. */
  readonly attempts: number;
  /** Why it failed, or why it is tried again. */
  readonly reason?: string | undefined;
  /** Where its result is, or will be: its folder in the store. */
  readonly place: string;
  /** Seconds between its submission and its end. */
  readonly seconds?: number | undefined;
}

/** Every state of BullMQ that a job may be in. */
const everyState: JobType[] = [
  'active',
  'waiting',
  'waiting-children',
  'prioritized',
  'delayed',
  'completed',
  'failed',
];

/**
 * Lists the items of a queue: one row each, by state and name. Throws `NotFoundError` where there is no queue, or what it needs
 * is not installed.
 */
export async function listJobs(request: JobsRequest): Promise<QueuedItem[]> {
  checkCall('jobs', z.looseObject({ queue: text }), request);
  const redis = await connectTo(request.queue, { lasting: false });
  try {
    const queue = await openQueue(redis);
    // One question, in which no job is between two states; those that go while they are read are done.
    const jobs = await jobsIn(queue, everyState);
    for (const job of jobs) checkListed(job);
    const ids = async (state: JobType) => new Set((await jobsIn(queue, [state])).map((job) => job.id));
    const [running, delayed] = await Promise.all([ids('active'), ids('delayed')]);
    const stateOf = (job: StepQueueJob): ItemState => {
      if (job.finishedOn) return job.failedReason ? 'failed' : 'done';
      return running.has(job.id) ? 'running' : delayed.has(job.id) ? 'delayed' : 'waiting';
    };
    const order = ({ state }: QueuedItem): number => itemStates.indexOf(state);
    return [...Map.groupBy(jobs, ({ data }) => data.item.id).values()]
      .flatMap((own) => currentOf(own) ?? [])
      .map((job) => rowOf(job, stateOf))
      .sort((a, b) => order(a) - order(b) || (a.item < b.item ? -1 : 1));
  } finally {
    redis.disconnect();
  }
}

/** The job of the step that an item is at: the first that is not done, or else the last. */
function currentOf(jobs: readonly StepQueueJob[]): StepQueueJob | undefined {
  const order = ({ name }: StepQueueJob): number => queueSteps.indexOf(name);
  const inOrder = jobs.toSorted((a, b) => order(a) - order(b));
  return inOrder.find((job) => !job.finishedOn || job.failedReason) ?? inOrder.at(-1);
}

function rowOf(job: StepQueueJob, stateOf: (job: StepQueueJob) => ItemState): QueuedItem {
  const { data, name: step, attemptsMade: attempts, failedReason, timestamp, finishedOn } = job;
  const { item } = data;
  const state = stateOf(job);
  const row = { item: item.name, id: item.id, state, step, attempts, place: placeOf(data) };
  if (state !== 'done') return { ...row, reason: failedReason ? printable(failedReason) : undefined };
  const returnvalue = resultOfJob(job);
  // Of the floor that was submitted last.
  const verdict = verdictAt(item.floor, returnvalue.psnr);
  return { ...row, ...returnvalue, verdict, ...(finishedOn && { seconds: (finishedOn - timestamp) / 1000 }) };
}
