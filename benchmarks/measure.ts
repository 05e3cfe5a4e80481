import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { mostTreeMemory } from './tree-memory.ts';

/** What a process took. */
export interface Usage {
  /** Seconds from start to end. */
  readonly wall: number;
  /** Seconds of CPU, of all threads. */
  readonly user: number;
  readonly system: number;
  /** What it printed. */
  readonly stdout: string;
}

/** What a process of this Node took. */
export interface NodeUsage extends Usage {
  /** Bytes that went from and to files through sdconvert's interfaces. */
  readonly read: number;
  readonly written: number;
  /** Most bytes of memory that were resident at once, with those of processes that it started. */
  readonly peakRss: number;
}

/**
 * Runs a script with this Node in a process of its own and measures all of it, start of Node included. Throws what it
 * wrote to stderr when it fails, and an `AbortError` when the signal ends it.
 */
export async function measure(args: readonly string[], signal?: AbortSignal): Promise<NodeUsage> {
  const report = new URL('report-usage.js', import.meta.url).href;
  const { wall, stdout, reported, memory } = await timed(
    [process.execPath, '--import', report, ...args],
    signal,
  );
  const own: Omit<NodeUsage, 'wall' | 'stdout'> = JSON.parse(reported);
  return { ...own, wall, stdout, peakRss: Math.max(own.peakRss, memory) };
}

/** Measures any other program. Throws as `measure` does. */
export async function measureProgram(command: readonly string[], signal?: AbortSignal): Promise<Usage> {
  // POSIX: `times` prints what the shell took, and in a second line what its children took: 0m1.23s 0m4.56s.
  const script = '"$@"; status=$?; times >&3; exit $status';
  const { wall, stdout, reported } = await timed(['sh', '-c', script, 'sh', ...command], signal);
  const [, user = 0, system = 0] = /(\S+) (\S+)\s*$/.exec(reported)?.map(secondsOf) ?? [];
  return { wall, user, system, stdout };
}

function secondsOf(time: string): number {
  const [, minutes, seconds] = /(\d+)m([\d.]+)s/.exec(time) ?? [];
  return 60 * Number(minutes) + Number(seconds);
}

/** Runs a program; `reported` is what it wrote to file descriptor 3, `memory` what was seen resident of it and of what it started. */
async function timed(
  [program = '', ...args]: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{
  readonly wall: number;
  readonly stdout: string;
  readonly reported: string;
  readonly memory: number;
}> {
  const start = performance.now();
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    ...(signal ? { signal } : {}),
  });
  const ended = new AbortController();
  const memory = child.pid === undefined ? 0 : mostTreeMemory(child.pid, ended.signal);
  const outputs = child.stdio.slice(1).map((stream) => (stream instanceof Readable ? text(stream) : ''));
  const [[code]] = await Promise.all([once(child, 'close'), ...outputs]).finally(() => ended.abort());
  const wall = (performance.now() - start) / 1000;
  const [stdout = '', complaint = '', reported = ''] = await Promise.all(outputs);
  if (code !== 0)
    throw new Error(`${[program, ...args].join(' ')} failed with exit code ${code}:\n${complaint}`);
  return { wall, stdout, reported, memory: await memory };
}
