import {
  closeSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { SdConvertError } from '../src/errors.ts';
import type { Files, Format } from './format.ts';

/** What reading one input may cost. */
export interface Limits {
  /** Processor time, of all threads. */
  readonly milliseconds: number;
  /** Growth of the process while it reads. */
  readonly megabytes: number;
}

/** What no input of any format may exceed. */
export const hardLimits: Limits = { milliseconds: 1000, megabytes: 64 };

/** How reading one input ended. */
export interface Judged {
  readonly milliseconds: number;
  readonly megabytes: number;
  /** The sentence that refused it; `undefined` where it was accepted. */
  readonly refusal: string | undefined;
  /** What is wrong with how it ended, whatever it cost; `undefined` where nothing is. */
  readonly fault: string | undefined;
  /** The fault, or what it cost too much; `undefined` where nothing is wrong. */
  readonly finding: string | undefined;
}

/**
 * Reads an input in a folder of its own and says whether it went as it must. Asking for the processor time takes as long as
 * reading a small input: by `clock`, the time that passed counts, which is no less of one thread.
 */
export async function judge(
  { read }: Pick<Format, 'read'>,
  files: Files,
  folder: string,
  limits: Limits,
  by: 'processor' | 'clock' = 'processor',
): Promise<Judged> {
  layOut(files, folder);
  const memory = watchMemory();
  const time = by === 'clock' ? () => performance.now() : processorTime;
  const start = time();
  const error = await read(folder).then(
    () => undefined,
    (thrown: unknown) => thrown ?? new Error('nothing was thrown'),
  );
  const cost = { milliseconds: time() - start, megabytes: memory.grown() };
  const refusal = error instanceof SdConvertError ? error.problem : undefined;
  const fault = faultIn(error);
  return { ...cost, refusal, fault, finding: fault ?? tooMuch(cost, limits) };
}

/** Of all threads, in milliseconds. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Longest text of an error: all that is foreign in it is cut. */
const LONGEST_MESSAGE = 4000;

function faultIn(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  if (!(error instanceof SdConvertError))
    return error instanceof Error ? (error.stack ?? String(error)) : String(error);
  const { message } = error;
  if (message.length > LONGEST_MESSAGE)
    return `an error of ${message.length} characters: ${message.slice(0, 200)}`;
  if (/(?![\n\t])[\p{Cc}\p{Cf}\u2028\u2029]/u.test(message))
    return `an error with control characters: ${JSON.stringify(message)}`;
  if (/\[object |\bundefined\b|\bnot of your input\b/.test(error.problem))
    return `an error that does not say what is wrong: ${message}`;
  return undefined;
}

function tooMuch(cost: Limits, limits: Limits): string | undefined {
  if (cost.milliseconds > limits.milliseconds)
    return `${Math.round(cost.milliseconds)} ms, and ${limits.milliseconds} are allowed`;
  if (cost.megabytes > limits.megabytes)
    return `${Math.round(cost.megabytes)} MB more, and ${limits.megabytes} are allowed`;
  return undefined;
}

/** Writes the files of an input into a folder that has nothing else. */
export function layOut(files: Files, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of files) {
    const path = join(folder, name);
    if (name.includes('/')) mkdirSync(dirname(path), { recursive: true });
    if (typeof bytes === 'string') symlinkSync(bytes, path);
    else writeFileSync(path, bytes);
  }
}

/** Linux keeps the peak of a process's memory, and forgets it when told to (proc_pid_clear_refs(5)). */
function watchMemory(): { grown(): number } {
  try {
    const file = openSync('/proc/self/clear_refs', 'w');
    writeSync(file, '5');
    closeSync(file);
    const before = kilobytes('VmRSS');
    return { grown: () => (kilobytes('VmHWM') - before) / 1000 };
  } catch {
    const before = process.memoryUsage.rss();
    return { grown: () => (process.memoryUsage.rss() - before) / 1e6 };
  }
}

const status = Buffer.alloc(1 << 13);

function kilobytes(field: string): number {
  const file = openSync('/proc/self/status', 'r');
  const length = readSync(file, status, 0, status.length, 0);
  closeSync(file);
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status.toString('latin1', 0, length))?.[1]);
}
