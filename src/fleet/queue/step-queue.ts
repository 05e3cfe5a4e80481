import type { Job, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { loadBullMq } from './connection.ts';
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
