import type { Judged } from './judge.ts';

/** What became of the inputs of one format. */
export interface Tally {
  inputs: number;
  refused: number;
  accepted: number;
  slowest: number;
  largest: number;
  readonly findings: Finding[];
}

/** Takes what was found under a name, as it comes. */
export type Keep = (name: string, tally: Tally) => void;

/** An input that went wrong, and how to make it again. */
export interface Finding {
  readonly input: number;
  readonly what: string;
}

export function emptyTally(): Tally {
  return { inputs: 0, refused: 0, accepted: 0, slowest: 0, largest: 0, findings: [] };
}

/** Adds an input to a tally. */
export function count(
  tally: Tally,
  input: number,
  { milliseconds, megabytes, refusal, finding }: Judged,
): void {
  tally.inputs++;
  if (finding !== undefined) tally.findings.push({ input, what: finding });
  else if (refusal === undefined) tally.accepted++;
  else tally.refused++;
  tally.slowest = Math.max(tally.slowest, milliseconds);
  tally.largest = Math.max(tally.largest, megabytes);
}

/** Adds one tally to another. */
export function addTo(sum: Tally, other: Tally): void {
  sum.inputs += other.inputs;
  sum.refused += other.refused;
  sum.accepted += other.accepted;
  sum.slowest = Math.max(sum.slowest, other.slowest);
  sum.largest = Math.max(sum.largest, other.largest);
  sum.findings.push(...other.findings);
}
