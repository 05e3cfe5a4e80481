import { styleText } from 'node:util';
import type { Context } from '../src/context.ts';
import type { SdConvertError } from '../src/errors.ts';
import { followLive } from './live-list.ts';
import { followLog, noteLine, plainLines } from './log-lines.ts';
import { throttled } from './throttled.ts';
import { visible } from './visible.ts';

/**
 * Output of a command. Progress is live on a terminal, plain lines elsewhere (both on stderr), and nothing with --quiet. With
 * --json, stdout has one JSON object per line and nothing else.
 */
export interface Report {
  /** Runs work and shows its stages as they progress. */
  follow<T>(stages: readonly string[], work: (context: Context) => Promise<T>): Promise<T>;
  /** Runs work of which stages and notes may be any number, and shows them as they come. */
  followLog<T>(work: (context: Context) => Promise<T>): Promise<T>;
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
  const isLive = process.stderr.isTTY && !quiet;
  const inLines: Report['followLog'] = (work) =>
    work(quiet ? { signal } : { signal, onProgress: plainLines() });
  return {
    follow: (stages, work) => (isLive ? followLive(stages, work, signal) : inLines(work)),
    followLog: (work) =>
      isLive ? followLog((onProgress) => work({ signal, onProgress }), signal) : inLines(work),
    note: (message) => void (quiet || process.stderr.write(`${noteLine(message)}\n`)),
    result: (_, text) => void process.stdout.write(`${visible(text)}\n`),
    results: (_, text) => void process.stdout.write(`${visible(text)}\n`),
    failure: (error) => void process.stderr.write(`${describeFailure(error)}\n`),
  };
}

function jsonReport(signal: AbortSignal): Report {
  // An escape in JSON is what it stands for.
  const print = (object: object): void =>
    void process.stdout.write(`${visible(JSON.stringify(object, finite))}\n`);
  const followLog: Report['followLog'] = (work) =>
    work({
      signal,
      onProgress: throttled((event) => print({ event: event.type, ...event, type: undefined })),
    });
  return {
    follow: (_, work) => followLog(work),
    followLog,
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

/** Formats an error, with its name in red. */
function describeFailure(error: SdConvertError): string {
  return `${styleText('red', `${error.name}:`, { stream: process.stderr })} ${visible(error.message)}`;
}
