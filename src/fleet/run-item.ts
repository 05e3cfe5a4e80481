import { type Context, type Need, type ProgressEvent, throwIfInterrupted } from '../context.ts';
import { SdConvertError } from '../errors.ts';
import { type CarriedError, revived } from '../io/carried-error.ts';
import { scriptBeside } from '../io/script-beside.ts';
import { endOf, startProcess } from '../io/start-process.ts';
import type { Quality } from './finished.ts';
import type { IdentifiedItem } from './item.ts';
import type { Site } from './steps.ts';

/** What the process of an item is told. */
export type Order =
  | { readonly type: 'run'; readonly item: IdentifiedItem; readonly site: Site }
  /** There is room for what it said that it needs. */
  | { readonly type: 'go' }
  | { readonly type: 'stop' };

/** What it tells. */
export type Report =
  | { readonly type: 'event'; readonly event: ProgressEvent }
  | { readonly type: 'need'; readonly need: Need }
  | { readonly type: 'done'; readonly outcome: Outcome }
  | { readonly type: 'failed'; readonly error: CarriedError };

/** What running an item's steps gave and took. */
export interface Outcome {
  readonly bytes: number;
  readonly quality?: Quality | undefined;
  /** Of its own work, without waiting for room. */
  readonly seconds: number;
  /** Most memory that the process had at once, with the largest of those that computed for it. */
  readonly memoryBytes: number;
}

/**
 * Runs the steps of an item in a process of its own: an item that crashes, or that the system ends for its memory, is one failed
 * item, and whatever it took is free afterwards (docs/decisions/0025-a-process-an-item.md). Throws what the steps throw.
 */
export async function runItem(item: IdentifiedItem, site: Site, context: Context): Promise<Outcome> {
  const child = startProcess(scriptBeside('run-item-worker', import.meta.url), {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const tell = (order: Order): void => void (child.connected && child.send(order, () => {}));
  const stop = (): void => tell({ type: 'stop' });
  let lastWords = '';
  child.stderr?.on('data', (text) => {
    lastWords = `${lastWords}${text}`.slice(-MOST_WORDS);
  });
  let end: (Report & { type: 'done' | 'failed' }) | undefined;
  child.on('message', (report: Report) => {
    if (report.type === 'event') context.onProgress?.(report.event);
    else if (report.type === 'need')
      void (context.admit?.(report.need) ?? Promise.resolve()).then(() => tell({ type: 'go' }));
    else end = report;
  });
  const ended = endOf(child);
  context.signal?.addEventListener('abort', stop, { once: true });
  tell({ type: 'run', item, site });
  if (context.signal?.aborted) stop();
  const how = await ended.finally(() => context.signal?.removeEventListener('abort', stop));
  if (end?.type === 'done') return end.outcome;
  if (!end) throwIfInterrupted(context.signal); // Ctrl-C ends a process that has not begun
  throw end ? revived(end.error) : died(item, how, lastWords);
}

/** Characters of what a process said last that an error repeats. */
const MOST_WORDS = 1000;

function died({ name }: IdentifiedItem, how: string, lastWords: string): SdConvertError {
  return new SdConvertError({
    problem: `the process that converted ${name} ended with ${how}.`,
    details: lastWords === '' ? {} : { 'its last words': lastWords.trim() },
    advice: 'The system may have been short of memory: pass a smaller --jobs, and run this again.',
  });
}
