import type { Job, JobType, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { loadBullMq } from './connection.ts';
import { strangeJob } from './read-step-job.ts';
import type { StepResult } from './run-step.ts';
import { QUEUE, type QueueStep, type StepJob } from './step-job.ts';

/** The queue of steps. */
export type StepQueue = Queue<StepJob, StepResult, QueueStep>;

/** A step in it. */
export type StepQueueJob = Job<StepJob, StepResult, QueueStep>;

/** The queue at an open connection, which stays the caller's. Throws as `loadBullMq`. */
export async function openQueue(redis: Redis): Promise<StepQueue> {
  const { Queue } = await loadBullMq();
  return new Queue<StepJob, StepResult, QueueStep>(QUEUE, { connection: redis });
}

/**
 * The jobs of a queue in these states, the first `most` of each where that is given. Throws `FileFormatError` where one of them cannot
 * be read.
 */
export async function jobsIn(
  queue: StepQueue,
  states: readonly JobType[],
  most = 0,
): Promise<StepQueueJob[]> {
  const jobs = await readable(() => queue.getJobs([...states], 0, most - 1));
  return jobs.filter((job) => job !== undefined); // those that go while they are read
}

/** The job of an id; `undefined` where there is none. Throws `FileFormatError` where it cannot be read. */
export function jobOf(queue: StepQueue, id: string): Promise<StepQueueJob | undefined> {
  return readable(() => queue.getJob(id));
}

/** BullMQ parses jobs, and takes them for its own: what whoever reaches a Redis has put there may be anything. */
async function readable<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    throw asStrangeJob(error);
  }
}

/** An error of BullMQ's as what it means: jobs that are no JSON, or lack what it takes for granted. */
export function asStrangeJob(error: unknown): unknown {
  return error instanceof SyntaxError || error instanceof TypeError ? strangeJob(error) : error;
}
