import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchmarkCheckpoints, checkpointBytes } from '../../benchmarks/checkpoints.ts';
import { readRows } from '../../benchmarks/results-file.ts';
import { workDefaults } from '../../src/fleet/queue/work.ts';
import { aboutTime, count, formatBytes } from '../../src/text.ts';
import { newestRows } from './benchmarks.ts';
import { table } from './markdown.ts';

/** `docs/fleet.md` with what limits a fleet, computed from what conversions and the queue were measured to take. */

type Row = Readonly<Record<string, string>>;

const START =
  '<!-- sizing: written by `npm run docs` from benchmarks/results/full-size.csv and queue.csv -->';
const END = '<!-- /sizing -->';

/** The case that is computed with. */
const CHECKPOINT = 'sd15';
const WHAT = 'ONNX';

/** Bytes a second of the line that all workers share: 1 Gbit/s. */
const LINE = 1e9 / 8;

/** Numbers of checkpoints, and of workers that do them. */
const fleets = [
  [10, 1],
  [1_000, 10],
  [100_000, 100],
] as const;

/** The page with its numbers written anew. */
export function fleetPage(root: string): string {
  const page = readFileSync(join(root, 'docs/fleet.md'), 'utf8');
  const conversion = newestRows(join(root, 'benchmarks/results/full-size.csv')).find(
    (row) => row.checkpoint === CHECKPOINT && row.what === WHAT,
  );
  const path = join(root, 'benchmarks/results/queue.csv');
  return withSizing(page, conversion, existsSync(path) ? readRows(readFileSync(path, 'utf8')) : []);
}

/** A text with its sizing written anew. Throws `Error` where it has no place for it, or nothing was measured. */
export function withSizing(text: string, conversion: Row | undefined, queue: readonly Row[]): string {
  const [before, rest] = text.split(START);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error('no place for the sizing');
  if (!conversion) throw new Error(`no row of ${CHECKPOINT}, ${WHAT}`);
  return `${before}${START}\n\n${sizing(conversion, queue)}\n${END}${after}`;
}

function sizing(conversion: Row, queue: readonly Row[]): string {
  const source = checkpointBytes(benchmarkCheckpoints[CHECKPOINT] ?? never());
  const [seconds, result] = [Number(conversion.wall_s), 1e6 * Number(conversion.written_mb)];
  const redis = Number(queue.at(-1)?.redis_bytes_per_job ?? 0);
  const rows = fleets.map(([checkpoints, workers]) => {
    const times = {
      'the line': (checkpoints * source) / LINE,
      'the workers': (checkpoints * seconds) / workers,
      '`--hub-rate`': (60 * checkpoints) / workDefaults.hubRate,
    };
    const [[limit, longest] = never()] = Object.entries(times).sort(([, a], [, b]) => b - a);
    return [
      checkpoints.toLocaleString('en'),
      String(workers),
      ...Object.values(times).map(duration),
      size(checkpoints * source),
      size(checkpoints * result),
      size(checkpoints * redis),
      `${limit}, ${duration(longest)}`,
    ];
  });
  const heading = [
    'checkpoints',
    'workers',
    'download',
    'convert',
    'Hub’s turns',
    'downloaded',
    'results',
    'Redis',
    'what limits',
  ];
  const { title } = benchmarkCheckpoints[CHECKPOINT] ?? never();
  return [
    `${title}, one variant (${WHAT}, float16), measured: ${formatBytes(source)} are read, ${formatBytes(result)} written, ${seconds} s on`,
    `${conversion.cores} cores (${conversion.cpu}, ${conversion.date?.slice(0, 10)}); in Redis a job takes ${formatBytes(redis)} until it is done. Computed from that, with a line of 1 Gbit/s that`,
    'all workers share, without checks (a check of a UNet runs it and its float32 reference, and takes as long as the processor does):',
    '',
    table([heading, ...rows]).trimEnd(),
    '',
    ...advice(source, seconds),
    ...measured(queue),
    '',
  ].join('\n');
}

/** What follows from the numbers. */
function advice(source: number, seconds: number): string[] {
  const download = source / LINE;
  const enough = Math.ceil((download + seconds) / download);
  return [
    `- A line of 1 Gbit/s is full with ${count(enough, 'worker')} that ${enough === 1 ? 'downloads' : 'download'} everything anew, and more of them are useless there: they need checkpoints that are near (a shared`,
    '  `--cache-dir`, or paths instead of ids), or lines of their own. Several variants of a checkpoint cost one download where the cache is shared.',
    `- A worker needs disk for one source and one result, memory for one check (\`--max-memory\`), and both of its cores.`,
    '- The results’ store is filled once, and read once more by `publish`. Redis holds names, options and outcomes, no bytes of models.',
  ];
}

/** What the queue itself was measured to do. */
function measured(queue: readonly Row[]): string[] {
  if (queue.length === 0) return [];
  const columns = [
    'date',
    'commit',
    'what',
    'jobs',
    'workers',
    'kills',
    'redis_restarts',
    'wall_s',
    'batch_s',
    'to_batch',
  ];
  const rows = queue.map((row) => columns.map((column) => row[column] ?? ''));
  return [
    '',
    'Runs of `npm run bench:queue`, all results byte for byte those of `batch`, none lost, none written twice:',
    '',
    table([columns, ...rows]).trimEnd(),
  ];
}

/** Up to days: `12 minutes`, `40 days`. */
function duration(seconds: number): string {
  const days = seconds / 86_400;
  return days < 2 ? aboutTime(seconds) : `${Math.round(days).toLocaleString('en')} days`;
}

/** Up to terabytes. */
function size(bytes: number): string {
  return bytes < 1e12 ? formatBytes(bytes) : `${(bytes / 1e12).toFixed(1)} TB`;
}

function never(): never {
  throw new Error('no such benchmark');
}
