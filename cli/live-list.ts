import { styleText } from 'node:util';
import type { DefaultRenderer, ListrTaskWrapper, SimpleRenderer } from 'listr2';
import type { Context, ProgressEvent } from '../src/context.ts';
import { showCursorWhileStopped } from './interrupts.ts';
import { STOPPING } from './log-lines.ts';
import { Pace, progressText } from './progress-text.ts';
import { throttled } from './throttled.ts';
import { visibleEvent } from './visible.ts';

type Task = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

/** Columns of a row that the list needs for its mark and leaves free at the end. */
const MARK_COLUMNS = 8;

/** A stage in the list; the work may finish it before the list starts it. */
interface Line {
  readonly ended: PromiseWithResolvers<void>;
  readonly notes: string[];
  title: string;
  task: Task | undefined;
}

/**
 * Shows stages as a live list on the terminal. Each finished stage keeps its result and duration, with its notes below. The
 * caller handles Ctrl-C: the signal stops the work, and the list ends with it.
 */
export async function followLive<T>(
  stages: readonly string[],
  work: (context: Context) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  const lines = new Map(stages.map((stage) => [stage, newLine(stage)]));
  const pace = new Pace();
  let current = lines.get(stages[0] ?? '');
  const done = work({ signal, onProgress: throttled((event) => show(visibleEvent(event))) });
  const list = new Listr(
    stages.map((stage) => ({
      title: stage,
      task: (_: unknown, task: Task) => {
        const line = lines.get(stage);
        if (!line) return undefined;
        line.task = task;
        task.title = line.title;
        for (const note of line.notes) task.output = note;
        // A stage that never starts must not keep the list waiting when the work is over; notes may come until then.
        const over = done.then(() => undefined);
        return stage === stages.at(-1) ? over : Promise.race([line.ended.promise, over]);
      },
      rendererOptions: { outputBar: Number.POSITIVE_INFINITY, persistentOutput: true },
    })),
    {
      registerSignalListeners: false,
      rendererOptions: {
        collapseErrors: false,
        showErrorMessage: false,
        logger: new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) }),
      },
    },
  );
  const stopping = () => current && note(current, STOPPING);
  signal.addEventListener('abort', stopping, { once: true });
  const keepHidden = showCursorWhileStopped();
  // The list fails when the work does; the work's own error is the one to throw.
  await list.run().catch(() => {});
  keepHidden();
  signal.removeEventListener('abort', stopping);
  return done;

  function show(event: ProgressEvent): void {
    if (event.type === 'note') {
      if (current) note(current, event.message);
      return;
    }
    const line = lines.get(event.stage);
    if (!line) return;
    current = line;
    if (event.type === 'progress') {
      const room = (process.stderr.columns ?? 80) - MARK_COLUMNS - stageName('').length;
      entitle(line, `${stageName(event.stage)}${progressText(event, pace.of(event, now()), room)}`);
    } else if (event.state === 'finished') {
      const seconds = styleText('dim', `${event.seconds.toFixed(1)} s`, { stream: process.stderr });
      entitle(line, `${stageName(event.stage)}${event.detail}  ${seconds}`);
      line.ended.resolve();
    }
  }
}

function newLine(stage: string): Line {
  return { ended: Promise.withResolvers(), notes: [], title: stage, task: undefined };
}

function entitle(line: Line, title: string): void {
  line.title = title;
  if (line.task) line.task.title = title;
}

function note(line: Line, message: string): void {
  line.notes.push(message);
  if (line.task) line.task.output = message;
}

function stageName(stage: string): string {
  return stage.padEnd(11);
}

function now(): number {
  return performance.now() / 1000;
}
