import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { appendRows, circumstances, type Row } from '../benchmarks/results-file.ts';
import { hardLimits, type Limits } from './judge.ts';
import type { Tally } from './tally.ts';

/** Where what was hunted is on record: a row for each format of each run; counts add up over them. */
const rowsFile = join(import.meta.dirname, '..', 'benchmarks', 'results', 'hunt.csv');

/** A row as it is on record. */
export interface HuntRow {
  readonly format: string;
  readonly inputs: number;
  readonly slowest_ms: number;
  readonly largest_mb: number;
  readonly refused: number;
  readonly accepted: number;
  readonly findings: number;
}

/** Records tallies, as of now and this commit. */
export function record(seed: string, tallies: ReadonlyMap<string, Tally>): void {
  const { date = '', commit = '' } = circumstances();
  const tried = [...tallies].filter(([, { inputs }]) => inputs > 0);
  const rows = tried.map(
    ([format, { inputs, slowest, largest, refused, accepted, findings }]): Row => ({
      date,
      commit,
      seed,
      format,
      inputs,
      slowest_ms: slowest.toFixed(0),
      largest_mb: largest.toFixed(1),
      refused,
      accepted,
      findings: findings.length,
    }),
  );
  if (rows.length > 0) appendRows(rowsFile, rows);
}

/** All that is on record. */
export function readRows(file = rowsFile): HuntRow[] {
  if (!existsSync(file)) return [];
  const [, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const [, , , format = '', ...numbers] = line.split(',');
    const [inputs = 0, slowest_ms = 0, largest_mb = 0, refused = 0, accepted = 0, findings = 0] =
      numbers.map(Number);
    return { format, inputs, slowest_ms, largest_mb, refused, accepted, findings };
  });
}

/** Below this a busy machine decides, not the input. */
const LEAST_MILLISECONDS = 500;

/** What an input of a format may cost: ten times the most that was ever seen, and never more than any input may. */
export function limitsOf(format: string, rows: readonly HuntRow[]): Limits {
  const clean = rows.filter((row) => row.format === format && row.findings === 0);
  const slowest = Math.max(LEAST_MILLISECONDS / 10, ...clean.map((row) => row.slowest_ms));
  return { ...hardLimits, milliseconds: Math.min(hardLimits.milliseconds, 10 * slowest) };
}
