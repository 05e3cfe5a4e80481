import { setTimeout } from 'node:timers/promises';
import { type Context, throwIfInterrupted } from '../context.ts';
import { OutputBusyError } from '../errors.ts';
import { whileLocked } from '../io/disk.ts';

/** Milliseconds between two looks at a folder. */
const LOOK_AGAIN = 500;

/**
 * Does work that writes into a folder. Where another run writes there, waits until that has ended and begins again: two batches may
 * have one item, and who comes second finds it done. Throws what the work throws, and `InterruptedError`.
 */
export async function inTurn<T>(folder: string, context: Context, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OutputBusyError)) throw error;
      await untilFree(folder, context);
    }
  }
}

async function untilFree(folder: string, { signal, onProgress }: Context): Promise<void> {
  for (;;) {
    throwIfInterrupted(signal);
    try {
      return await whileLocked(folder, async () => {});
    } catch (error) {
      if (!(error instanceof OutputBusyError)) throw error;
      onProgress?.({ type: 'progress', stage: 'waiting:', what: error.problem, done: 0, total: 1 });
      await setTimeout(LOOK_AGAIN);
    }
  }
}
