import { styleText } from 'node:util';
import type { DefaultRenderer, ListrTaskWrapper, SimpleRenderer } from 'listr2';
import type { Context, ProgressEvent } from '../src/context.ts';
import type { SdConvertError } from '../src/errors.ts';

/**
 * How a command shows its work: a live list on a terminal, plain lines elsewhere (both on stderr), nothing with --quiet,
 * and with --json one JSON object a line on stdout and nothing else there.
 */
export interface Report {
  /** Does work that goes through these stages, showing each as it comes. */
  follow<T>(stages: readonly string[], work: (context: Context) => Promise<T>): Promise<T>;
  /** Says something that the user should know, in one sentence. */
  note(message: string): void;
  /** Gives the command's result: `value` with --json, `text` for people. */
  result(value: unknown, text: string): void;
  /** Says what went wrong. */
  failure(error: SdConvertError): void;
}

/** The options that every command has. */
export interface ReportOptions {
  readonly json: boolean;
  readonly quiet: boolean;
}

/** The report for the terminal at hand. `signal` stops the work. */
export function createReport({ json, quiet }: ReportOptions, signal: AbortSignal): Report {
  if (json) return jsonReport(signal);
  const live = process.stderr.isTTY && !quiet;
  return {
    follow: (stages, work) => {
      if (quiet) return work({ signal });
      return live ? followLive(stages, work, signal) : work({ signal, onProgress: plainLines() });
    },
    note: (message) => void (quiet || process.stderr.write(describeNote(message))),
    result: (_, text) => void process.stdout.write(`${text}\n`),
    failure: (error) => void process.stderr.write(`${describeFailure(error)}\n`),
  };
}

function jsonReport(signal: AbortSignal): Report {
  const print = (object: object): void => void process.stdout.write(`${JSON.stringify(object, finite)}\n`);
  return {
    follow: (_, work) =>
      work({
        signal,
        onProgress: throttled((event) => print({ event: event.type, ...event, type: undefined })),
      }),
    note: (message) => print({ event: 'note', message }),
    result: (result) => print({ event: 'result', result }),
    failure: ({ name, problem, details, advice }) =>
      print({ event: 'error', name, problem, details, advice }),
  };
}

/** JSON has no infinity and no NaN, and would say null for both: a PSNR of identical tensors is "Infinity". */
function finite(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

function describeNote(message: string): string {
  return `note      ${message}\n`;
}

/** The error's parts, the first line marked. */
function describeFailure(error: SdConvertError): string {
  return `${styleText('red', `${error.name}:`, { stream: process.stderr })} ${error.message}`;
}

/** One line when a stage ends, one for each note, one now and then while a stage is long at work. */
function plainLines(): (event: ProgressEvent) => void {
  const print = (line: string): void => void process.stderr.write(`${line}\n`);
  return throttled((event) => {
    if (event.type === 'note') process.stderr.write(describeNote(event.message));
    if (event.type === 'progress') print(`${event.stage.padEnd(8)}  ${describeProgress(event)}`);
    if (event.type === 'stage' && event.state === 'finished')
      print(`${event.stage.padEnd(8)}  ${event.detail}  (${event.seconds.toFixed(1)} s)`);
  }, 5000);
}

type Task = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

/** A list of the stages that is redrawn as they go. */
async function followLive<T>(
  stages: readonly string[],
  work: (context: Context) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  const ends = new Map(stages.map((stage) => [stage, Promise.withResolvers<void>()]));
  const tasks = new Map<string, Task>();
  const notes: string[] = [];
  const done = work({ signal, onProgress });
  const list = new Listr(
    stages.map((stage) => ({
      title: stage,
      task: (_: unknown, task: Task) => {
        tasks.set(stage, task);
        // A stage that never comes must not keep the list waiting once the work is over.
        return Promise.race([ends.get(stage)?.promise, done.then(() => undefined)]);
      },
    })),
    {
      rendererOptions: {
        collapseErrors: false,
        showErrorMessage: false,
        logger: new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) }),
      },
    },
  );
  // The list fails when the work does; the work's own error is the one to throw.
  await list.run().catch(() => {});
  for (const note of notes) process.stderr.write(describeNote(note));
  return done;

  function onProgress(event: ProgressEvent): void {
    if (event.type === 'note') return void notes.push(event.message);
    const task = tasks.get(event.stage);
    if (event.type === 'progress') {
      if (task) task.output = describeProgress(event);
    } else if (event.state === 'finished') {
      if (task)
        task.title = `${event.stage.padEnd(8)}  ${event.detail}  ${styleText('dim', `${event.seconds.toFixed(1)} s`)}`;
      ends.get(event.stage)?.resolve();
    }
  }
}

function describeProgress({ what, done, total }: ProgressEvent & { type: 'progress' }): string {
  const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
  return `${what}  ${percent} %`;
}

/** Passes every event on, but progress at most once in `milliseconds`. */
function throttled(show: (event: ProgressEvent) => void, milliseconds = 200): (event: ProgressEvent) => void {
  let last = performance.now();
  return (event) => {
    if (event.type === 'progress') {
      if (performance.now() - last < milliseconds) return;
      last = performance.now();
    }
    show(event);
  };
}
