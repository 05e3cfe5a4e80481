/**
 * Measures what matters to somebody with a real checkpoint and a small machine: time, memory and bytes of conversions at real sizes,
 * and of what is done with their results, beside copying the same files and beside the loop that any converter needs. Each case is a
 * process of its own; all cases run in turns, so that what else the machine does falls on all. Prints tables and appends to
 * benchmarks/results/full-size.csv; `npm run docs` makes README's table and the chart from it.
 *
 *     npm run build && npm run bench [-- --checkpoint sd15,sdxl-f16] [--case NAME]... [--rounds 5] [--list]
 *
 * One checkpoint at a time is made with random weights where TMPDIR says, and removed after; free disk of about three times its
 * size is checked first (31 GB for the largest). All of it takes about an hour on two cores; run it on a machine that does nothing else.
 * What needs NumPy, or PyTorch and diffusers, is left out where `python3` has none; test/python/requirements-optimum.txt has all.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { alignColumns, formatBytes } from '../src/text.ts';
import { artifactCases, type Case, conversionCases, type Places, startCases } from './cases.ts';
import { type BenchmarkCheckpoint, benchmarkCheckpoints, checkpointBytes } from './checkpoints.ts';
import { makeFullSizeCheckpoint } from './make-full-size-checkpoint.ts';
import { measure, measureProgram, type NodeUsage, type Usage } from './measure.ts';
import { noteSpread, quiet } from './quiet.ts';
import { appendRows, circumstances, type Row } from './results-file.ts';
import { median } from './statistics.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The one that what is measured once is measured with. */
const MAIN = 'sd15';

const { values: options } = parseArgs({
  options: {
    checkpoint: { type: 'string', default: Object.keys(benchmarkCheckpoints).join(',') },
    case: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    list: { type: 'boolean', default: false },
  },
});
const stop = new AbortController();
process.on('SIGINT', () => stop.abort()).on('SIGTERM', () => stop.abort());
const temporary = mkdtempSync(join(tmpdir(), 'sdconvert-bench-'));
try {
  if (options.list) list();
  else for (const name of options.checkpoint.split(',')) await measureCheckpoint(name);
} catch (error) {
  if (!stop.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

function list(): void {
  for (const [name, { title }] of Object.entries(benchmarkCheckpoints))
    console.log(`--checkpoint ${name}  ${title}`);
  for (const { name } of casesOf(MAIN)) console.log(`--case '${name}'`);
}

function placesOf(name: string): Places {
  return {
    checkpoint: join(temporary, name),
    output: join(temporary, 'output'),
    made: join(temporary, 'made'),
  };
}

/** The cases of a checkpoint that are wanted and can run here, with those that they are compared with. */
function casesOf(name: string): Case[] {
  const places = placesOf(name);
  const all = [...startCases, ...conversionCases(places), ...artifactCases(places)].filter(
    (each) => name === MAIN || !each.once,
  );
  const wanted = all.filter((each) => options.case.length === 0 || options.case.includes(each.name));
  const baselines = new Set(wanted.map(({ baseline }) => baseline));
  const isMissing = (name: string): boolean => spawnSync('python3', ['-c', `import ${name}`]).status !== 0;
  const needed = new Set(wanted.flatMap(({ packages = [] }) => packages));
  const missing = new Set([...needed].filter(isMissing));
  return all.filter(
    (each) =>
      (wanted.includes(each) || baselines.has(each.name)) &&
      !each.packages?.some((name) => missing.has(name)),
  );
}

async function measureCheckpoint(name: string): Promise<void> {
  const checkpoint = benchmarkCheckpoints[name];
  if (!checkpoint) throw new Error(`${name} is none of ${Object.keys(benchmarkCheckpoints).join(', ')}`);
  if (!existsSync(path('../dist/js/main.js'))) throw new Error('not built: npm run build');
  checkFreeDisk(checkpoint);
  const places = placesOf(name);
  console.error(`${name}: making ${formatBytes(checkpointBytes(checkpoint))}`);
  await makeFullSizeCheckpoint(places.checkpoint, checkpoint.dtype, checkpoint.components());
  const cases = casesOf(name);
  if (cases.some(({ command }) => command.some((each) => each.startsWith(places.made))))
    await makeArtifacts(places);
  const rows = await measureInTurns(name, cases, places.output);
  appendRows(path('results/full-size.csv'), rows);
  const shown = rows.map(({ date, commit, cpu, cores, node, ...row }) => row);
  console.log(
    `\n${alignColumns([Object.keys(shown[0] ?? {}), ...shown.map((row) => Object.values(row).map(String))])}\n`,
  );
  rmSync(places.checkpoint, { recursive: true });
  rmSync(places.made, { recursive: true, force: true });
}

/** A copy, an output and, for one checkpoint, artifacts exist beside it. Throws `Error` when they would not fit. */
function checkFreeDisk(checkpoint: BenchmarkCheckpoint): void {
  const needed = 3 * checkpointBytes(checkpoint);
  const { bavail, bsize } = statfsSync(temporary);
  if (bavail * bsize < needed)
    throw new Error(
      `${formatBytes(needed)} are needed in ${temporary}, ${formatBytes(bavail * bsize)} are free.`,
    );
}

/** For the newest system, since older ones lack some forms of palettes. */
async function makeArtifacts({ checkpoint, made }: Places): Promise<void> {
  const convert = [
    path('../bin/sdconvert.js'),
    'convert',
    '--quiet',
    '--model-version',
    checkpoint,
    '-o',
    made,
  ];
  await measure([...convert, '--min-deployment-target', 'macOS15'], stop.signal);
}

/** Measures every case once a round, after one round that is not counted; medians of all. */
async function measureInTurns(checkpoint: string, cases: readonly Case[], output: string): Promise<Row[]> {
  const load = (await quiet(stop.signal)).toFixed(1);
  const usages = new Map<string, (Usage & Partial<NodeUsage>)[]>(cases.map(({ name }) => [name, []]));
  for (let round = 0; round <= Number(options.rounds); round++) {
    for (const { name, command, rehearsed } of cases) {
      const [program, ...args] = command;
      if (rehearsed) {
        await measureProgram(command, stop.signal);
        rmSync(output, { recursive: true, force: true });
      }
      execFileSync('sync'); // what the one before wrote must not be on this one's bill
      const usage =
        program === 'node' ? await measure(args, stop.signal) : await measureProgram(command, stop.signal);
      rmSync(output, { recursive: true, force: true });
      if (round > 0) usages.get(name)?.push(usage);
      console.error(
        `${checkpoint}  round ${round} of ${options.rounds}  ${name}  ${usage.wall.toFixed(1)} s`,
      );
    }
  }
  return cases.map(({ name, baseline = name }) => {
    const [own, others] = [usages.get(name) ?? [], usages.get(baseline) ?? []];
    const wall = own.map((each) => each.wall);
    if (name === baseline) noteSpread(name, wall);
    const middle = (of: (each: Usage & Partial<NodeUsage>) => number | undefined): number =>
      median(own.map((each) => of(each) ?? Number.NaN));
    return {
      ...circumstances(),
      load,
      checkpoint,
      what: name,
      runs: own.length,
      wall_s: median(wall).toFixed(2),
      wall_min_s: Math.min(...wall).toFixed(2),
      wall_max_s: Math.max(...wall).toFixed(2),
      user_s: middle(({ user }) => user).toFixed(2),
      system_s: middle(({ system }) => system).toFixed(2),
      cpu_s: middle(({ user, system }) => user + system).toFixed(2),
      peak_rss_mb: inMegabytes(Math.max(...own.map(({ peakRss = Number.NaN }) => peakRss))),
      read_mb: inMegabytes(middle(({ read }) => read)),
      written_mb: inMegabytes(middle(({ written }) => written)),
      baseline,
      to_baseline: median(wall.map((seconds, at) => seconds / (others[at]?.wall ?? Number.NaN))).toFixed(2),
    };
  });
}

/** Empty where it was not measured. */
function inMegabytes(bytes: number): string {
  return Number.isNaN(bytes) ? '' : (bytes / 1e6).toFixed(1);
}
