import { styleText } from 'node:util';
import type { Context, ProgressEvent } from '../src/context.ts';
import type { SdConvertError } from '../src/errors.ts';
import { followLive } from './live-list.ts';
import { Pace, progressText } from './progress-text.ts';
import { throttled } from './throttled.ts';
import { visible, visibleEvent } from './visible.ts';

/**
 * Output of a command. Progress is a live list on a terminal, plain lines elsewhere (both on stderr), and nothing with
 * --quiet. With --json, stdout has one JSON object per line and nothing else.
 */
export interface Report {
  /** Runs work and shows its stages as they progress. */
  follow<T>(stages: readonly string[], work: (context: Context) => Promise<T>): Promise<T>;
  /** Prints a note of one sentence. */
  note(message: string): void;
  /** Prints the command's result: `value` with --json, else `text`. */
  result(value: unknown, text: string): void;
  /** Prints the results of a command that has several: each of `values` on a line with --json, else `text`. */
  results(values: readonly unknown[], text: string): void;
  /** Prints an error. */
  failure(error: SdConvertError): void;
}

/** The options that every command has. */
export interface ReportOptions {
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Creates the report for this terminal. `signal` stops the work. */
export function createReport({ json, quiet }: ReportOptions, signal: AbortSignal): Report {
  if (json) return jsonReport(signal);
  const live = process.stderr.isTTY && !quiet;
  return {
    follow: (stages, work) => {
      if (quiet) return work({ signal });
      return live ? followLive(stages, work, signal) : work({ signal, onProgress: plainLines() });
    },
    note: (message) => void (quiet || process.stderr.write(describeNote(message))),
    result: (_, text) => void process.stdout.write(`${visible(text)}\n`),
    results: (_, text) => void process.stdout.write(`${visible(text)}\n`),
    failure: (error) => void process.stderr.write(`${describeFailure(error)}\n`),
  };
}

function jsonReport(signal: AbortSignal): Report {
  // An escape in JSON is what it stands for.
  const print = (object: object): void =>
    void process.stdout.write(`${visible(JSON.stringify(object, finite))}\n`);
  return {
    follow: (_, work) =>
      work({
        signal,
        onProgress: throttled((event) => print({ event: event.type, ...event, type: undefined })),
      }),
    note: (message) => print({ event: 'note', message }),
    result: (result) => print({ event: 'result', result }),
    results: (results) => {
      for (const result of results) print({ event: 'result', result });
    },
    failure: ({ name, problem, details, advice }) =>
      print({ event: 'error', name, problem, details, advice }),
  };
}

/** Writes Infinity and NaN as strings, because JSON would turn them into null: the PSNR of identical tensors is "Infinity". */
function finite(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

function describeNote(message: string): string {
  return `note       ${visible(message)}\n`;
}

/** Formats an error, with its name in red. */
function describeFailure(error: SdConvertError): string {
  return `${styleText('red', `${error.name}:`, { stream: process.stderr })} ${visible(error.message)}`;
}

/** Line width of logs, which are read in wide windows. */
const LOG_COLUMNS = 140;

/** Prints a line when a stage ends, one for each note, and one every few seconds during a long stage. */
function plainLines(): (event: ProgressEvent) => void {
  const pace = new Pace();
  const print = (line: string): void => void process.stderr.write(`${line}\n`);
  return throttled((given) => {
    const event = visibleEvent(given);
    if (event.type === 'note') process.stderr.write(describeNote(event.message));
    if (event.type === 'progress') {
      const text = progressText(event, pace.of(event, performance.now() / 1000), LOG_COLUMNS);
      print(`${event.stage.padEnd(9)}  ${text}`);
    }
    if (event.type === 'stage' && event.state === 'finished')
      print(`${event.stage.padEnd(9)}  ${event.detail}  (${event.seconds.toFixed(1)} s)`);
  }, 5000);
}
