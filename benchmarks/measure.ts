import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

/** What a process took. */
export interface Usage {
  /** Seconds from start to end. */
  readonly wall: number;
  /** Seconds of CPU, of all threads. */
  readonly user: number;
  readonly system: number;
  /** Bytes that went from and to files through sdconvert's interfaces; 0 for other programs. */
  readonly read: number;
  readonly written: number;
  /** Most bytes of memory that were resident at once. */
  readonly peakRss: number;
  /** What it printed. */
  readonly stdout: string;
}

/**
 * Runs a script with this Node in a process of its own and measures all of it, start of Node included. Throws what it
 * wrote to stderr when it fails, and an `AbortError` when the signal ends it.
 */
export async function measure(args: readonly string[], signal?: AbortSignal): Promise<Usage> {
  const report = new URL('report-usage.ts', import.meta.url).href;
  const start = performance.now();
  const child = spawn(process.execPath, ['--import', report, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    ...(signal ? { signal } : {}),
  });
  const outputs = child.stdio.slice(1).map((stream) => (stream instanceof Readable ? text(stream) : ''));
  const [[code]] = await Promise.all([once(child, 'close'), ...outputs]);
  const wall = (performance.now() - start) / 1000;
  const [printed = '', complaint = '', used = ''] = await Promise.all(outputs);
  if (code !== 0) throw new Error(`${args.join(' ')} failed with exit code ${code}:\n${complaint}`);
  return { wall, ...JSON.parse(used), stdout: printed };
}
