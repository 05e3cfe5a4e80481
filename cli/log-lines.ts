import type { ProgressEvent } from '../src/context.ts';
import { onOneLine } from '../src/text.ts';
import { Pace, progressText } from './progress-text.ts';
import { throttled } from './throttled.ts';
import { visibleEvent } from './visible.ts';

/** Line width of logs, which are read in wide windows. */
const LOG_COLUMNS = 140;

/** A note as a line of a log. */
export function noteLine(message: string): string {
  return `note       ${onOneLine(message)}`;
}

/** Prints a line when a stage ends, one for each note, and one every few seconds during a long stage. */
export function plainLines(): (event: ProgressEvent) => void {
  const pace = new Pace();
  return throttled((given) => {
    const event = visibleEvent(given);
    const line = lineOf(event) ?? progressLine(event, pace, LOG_COLUMNS);
    if (line !== undefined) process.stderr.write(`${line}\n`);
  }, 5000);
}

/**
 * Runs work that has any number of stages and notes, and shows them on a terminal as they end, above a line that says how far it
 * is. The caller handles Ctrl-C: the signal stops the work.
 */
export async function followLog<T>(
  work: (onProgress: (event: ProgressEvent) => void) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { stderr } = process;
  const pace = new Pace();
  const show = (text: string): void => void stderr.write(`\r${CLEAR_LINE}${text}`);
  const stopping = (): void => show(`${STOPPING}\n`);
  signal.addEventListener('abort', stopping, { once: true });
  try {
    return await work(
      throttled((given) => {
        const event = visibleEvent(given);
        const line = lineOf(event);
        // A full row would make the terminal begin another.
        const progress = progressLine(event, pace, (stderr.columns ?? 80) - 1);
        if (line !== undefined) show(`${line}\n`);
        else if (progress !== undefined) show(progress);
      }),
    );
  } finally {
    signal.removeEventListener('abort', stopping);
    show('');
  }
}

/** Erases the row that the cursor is in. */
const CLEAR_LINE = '\x1b[2K';

/** Said in a terminal after Ctrl-C. */
export const STOPPING = 'stopping … (press Ctrl-C again to quit at once)';

/** The line for a note, or for a stage that ended. */
function lineOf(event: ProgressEvent): string | undefined {
  if (event.type === 'note') return noteLine(event.message);
  if (event.type !== 'stage' || event.state !== 'finished') return undefined;
  return `${event.stage.padEnd(9)}  ${event.detail}  (${event.seconds.toFixed(1)} s)`;
}

/** The line for how far a stage is, in at most so many columns. */
function progressLine(event: ProgressEvent, pace: Pace, columns: number): string | undefined {
  if (event.type !== 'progress') return undefined;
  const stage = event.stage.padEnd(11);
  return `${stage}${progressText(event, pace.of(event, performance.now() / 1000), columns - stage.length)}`;
}
