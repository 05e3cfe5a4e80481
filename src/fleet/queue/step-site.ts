import type { Site } from '../steps.ts';
import type { StoreOptions } from '../store/open-store.ts';

/** What passes between a worker and the process that runs its steps. */

/** What is of the worker that runs a step. */
export interface WorkerSite extends Site {
  /** The worker's own folder. */
  readonly folder: string;
  /** Bytes that may be in it; any number when left out. */
  readonly maxDiskBytes?: number | undefined;
  readonly store: StoreOptions;
}

/** The file in the worker's folder that says what the process is to know: no job holds a token or the address of a queue. */
export const SITE_FILE = 'site.json';

/** What of it is on file. */
export interface StepSite extends WorkerSite {
  readonly queue: string;
  /** Fetches from the Hub that all workers together may begin in a minute. */
  readonly hubRate: number;
}

/** How far a step is. */
export interface StageProgress {
  /** What the step does now; absent where it has just begun. */
  readonly stage?: string;
  readonly done: number;
  readonly total: number;
  readonly unit?: 'bytes' | 'steps' | undefined;
}

/** What a running step tells the worker: how far it is, or that this version must not run it. */
export type StepProgress = StageProgress | { readonly refused: true };
