import { InterruptedError } from './errors.ts';

/** What long work tells its caller. Library functions print nothing; a caller that wants to show something listens. */
export type ProgressEvent =
  | { readonly type: 'stage'; readonly stage: string; readonly state: 'started' }
  | {
      readonly type: 'stage';
      readonly stage: string;
      readonly state: 'finished';
      readonly detail: string;
      readonly seconds: number;
    }
  /** `done` of `total` units of the stage's own work: bytes while writing and steps while drawing (`unit`), models while validating. */
  | {
      readonly type: 'progress';
      readonly stage: string;
      readonly what: string;
      readonly done: number;
      readonly total: number;
      readonly unit?: 'bytes' | 'steps';
    }
  /** Something the user should know, in one sentence. */
  | { readonly type: 'note'; readonly message: string };

/** What work takes of the machine while it runs, as far as it is known before. */
export interface Need {
  readonly memoryBytes: number;
  /** Of what will be written. */
  readonly diskBytes: number;
}

/** How a caller follows and stops long work. */
export interface Context {
  readonly onProgress?: (event: ProgressEvent) => void;
  /** Aborting it ends the work with `InterruptedError`, leaving nothing half-written. */
  readonly signal?: AbortSignal;
  /** Is asked before anything large is written or run, which waits for the answer; a later need replaces an earlier one. */
  readonly admit?: (need: Need) => Promise<void>;
}

/** Throws `InterruptedError` when the caller has asked to stop. */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new InterruptedError({ problem: 'interrupted; nothing half-written was left behind.' });
}

/** Does the work of a stage, telling the caller when it starts and ends; `detail` sums up what it did. */
export async function inStage<T>(
  stage: string,
  { onProgress, signal }: Context,
  work: () => Promise<{ readonly output: T; readonly detail: string }>,
): Promise<T> {
  throwIfInterrupted(signal);
  onProgress?.({ type: 'stage', stage, state: 'started' });
  const start = performance.now();
  const { output, detail } = await work();
  onProgress?.({
    type: 'stage',
    stage,
    state: 'finished',
    detail,
    seconds: (performance.now() - start) / 1000,
  });
  return output;
}
