import { loadavg } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { median } from './statistics.ts';

/** Of the last minute: making a checkpoint leaves more, and so does whatever else runs. */
const QUIET_LOAD = 0.3;
/** A load of 2 takes two minutes to fall so far where nothing runs. */
const PATIENCE_MS = 300_000;

/** Waits until the machine does nothing, at most five minutes; its load then. */
export async function quiet(signal: AbortSignal): Promise<number> {
  const until = Date.now() + PATIENCE_MS;
  const load = (): number => loadavg()[0] ?? 0;
  if (load() >= QUIET_LOAD) console.error(`waiting for a load below ${QUIET_LOAD}`);
  while (load() >= QUIET_LOAD && Date.now() < until) await setTimeout(5000, undefined, { signal });
  if (load() >= QUIET_LOAD)
    console.error(`the load is ${load().toFixed(1)}: what is measured is slower than it could be`);
  return load();
}

/** A baseline that varies by more than a tenth is none. */
const LARGEST_SPREAD = 0.1;

/** Says so where a baseline varied too much. */
export function noteSpread(name: string, wall: readonly number[]): void {
  const spread = (Math.max(...wall) - Math.min(...wall)) / median(wall);
  if (spread > LARGEST_SPREAD)
    console.error(`${name} varied by ${(100 * spread).toFixed(0)} %: measure again`);
}
