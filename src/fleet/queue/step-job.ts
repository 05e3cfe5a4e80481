import type { IdentifiedItem } from '../item.ts';
import { stepNames } from '../steps.ts';
import type { PublishTarget } from './publish-target.ts';

/** The name of the queue, as it stands in Redis and as a scaler finds it: `bull:sdconvert:wait`. */
export const QUEUE = 'sdconvert';

/** The steps that the queue has jobs for, in order. */
export const queueSteps = [...stepNames, 'publish'] as const;

export type QueueStep = (typeof queueSteps)[number];

/** What a worker is told of a step: the whole item, so that any worker can do any step. */
export interface StepJob {
  /** The version of sdconvert that submitted it: another one would write other files. */
  readonly version: string;
  readonly item: IdentifiedItem;
  /** SHA-256 over the bytes of its models on the disk; absent where all are on the Hub. */
  readonly contents?: string | undefined;
  /** The store of the results. */
  readonly results: string;
  /** Where results that pass go on the Hub; nowhere when left out. */
  readonly publish?: PublishTarget | undefined;
  /** Whether what is in the store is made again, and replaced by that. */
  readonly again?: boolean | undefined;
}

/** A job of a flow: it runs once its children are done. */
export interface StepNode {
  readonly name: QueueStep;
  readonly queueName: string;
  readonly data: StepJob;
  readonly opts: {
    readonly jobId: string;
    readonly attempts: number;
    readonly backoff: { readonly type: 'exponential'; readonly delay: number; readonly jitter: number };
    readonly removeOnComplete: boolean;
  };
  readonly children?: StepNode[];
}

/** Where the result of a job is, or will be. */
export function placeOf({ results, item }: Pick<StepJob, 'results' | 'item'>): string {
  return `${results}/${item.name}`;
}

/** How often a step is tried that fails by something which may pass. */
const ATTEMPTS = 4;

/** Milliseconds before the second attempt; each later wait is twice as long, and shortened by up to a half at random. */
const FIRST_WAIT = 10_000;

/** The steps of a job, in order; the last one's job is the item's, and its result the item's. */
export function stepsOf({ publish }: Pick<StepJob, 'publish'>): readonly [QueueStep, ...QueueStep[]] {
  return publish ? queueSteps : stepNames;
}

/** The last step of a job. */
export function lastStepOf(job: Pick<StepJob, 'publish'>): QueueStep {
  const [first, ...later] = stepsOf(job);
  return later.at(-1) ?? first;
}

/** The id of a step's job: of the same models, options and version there is one. */
export function jobIdOf({ id }: Pick<IdentifiedItem, 'id'>, step: QueueStep): string {
  return `${id}-${step}`;
}

/** The flow of an item: each step is the child of the next. Jobs of steps go when they are done; that of the last one stays. */
export function flowOf(job: StepJob): StepNode {
  const [first, ...later] = stepsOf(job);
  const node = (name: QueueStep, children?: StepNode[]): StepNode => ({
    name,
    queueName: QUEUE,
    data: job,
    opts: {
      jobId: jobIdOf(job.item, name),
      attempts: ATTEMPTS,
      backoff: { type: 'exponential', delay: FIRST_WAIT, jitter: 0.5 },
      removeOnComplete: name !== lastStepOf(job),
    },
    ...(children && { children }),
  });
  return later.reduce((before, name) => node(name, [before]), node(first));
}
