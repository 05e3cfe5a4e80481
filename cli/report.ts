import { styleText } from 'node:util';
import type { Context, ProgressEvent } from '../src/context.ts';
import type { SdConvertError } from '../src/errors.ts';
import { followLive } from './live-list.ts';
import { Pace, progressText } from './progress-text.ts';
import { throttled } from './throttled.ts';
import { visible, visibleEvent } from './visible.ts';

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
    result: (_, text) => void process.stdout.write(`${visible(text)}\n`),
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
  return `note       ${visible(message)}\n`;
}

/** The error's parts, the first line marked. */
function describeFailure(error: SdConvertError): string {
  return `${styleText('red', `${error.name}:`, { stream: process.stderr })} ${visible(error.message)}`;
}

/** Logs are read in wide windows. */
const LOG_COLUMNS = 140;

/** One line when a stage ends, one for each note, one now and then while a stage is long at work. */
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
