import { existsSync, readFileSync } from 'node:fs';
import { benchmarkCheckpoints, checkpointBytes } from '../../benchmarks/checkpoints.ts';
import { readRows } from '../../benchmarks/results-file.ts';
import { table } from './markdown.ts';

/** The tables and the chart of what conversions and drawings cost, from the rows of `npm run bench` and `npm run bench:generate`. */

type Row = Readonly<Record<string, string>>;

/** The newest row of each case of each checkpoint or model. */
export function newestRows(path: string): Row[] {
  if (!existsSync(path)) return [];
  const rows = readRows(readFileSync(path, 'utf8'));
  return [...new Map(rows.map((row) => [`${row.checkpoint ?? row.model} ${row.what}`, row])).values()];
}

/** A text with the table of what was measured at full sizes written anew. Throws as `writtenAnew`. */
export function withBenchmarks(text: string, rows: readonly Row[]): string {
  return writtenAnew(text, 'benchmarks/results/full-size.csv', benchmarkTable(rows), rows);
}

/** A text with the table of denoising steps written anew. Throws as `writtenAnew`. */
export function withSteps(text: string, rows: readonly Row[]): string {
  const heading = [
    'UNet',
    'how',
    'seconds a step',
    'CPU-seconds',
    '÷ diffusers',
    'seconds to load',
    'peak memory',
  ];
  const [small, large] = ['sd-shapes', 'sd15-full'].map((model) => rows.filter((row) => row.model === model));
  const body = [...(small ?? []), ...(large ?? [])].map((row) => [
    row.model === 'sd15-full' ? 'SD 1.5, 64 × 64' : 'sd-shapes, 8 × 8',
    row.what ?? '',
    row.step_s ?? '',
    row.step_cpu_s ?? '',
    row.to_diffusers ?? '',
    row.load_s ?? '',
    withUnit(row.peak_rss_mb, 'MB'),
  ]);
  return writtenAnew(text, 'benchmarks/results/generate.csv', table([heading, ...body]), rows);
}

/** A text with its table from `source` written anew. Throws `Error` where it has no place for one. */
function writtenAnew(text: string, source: string, written: string, rows: readonly Row[]): string {
  const start = `<!-- benchmarks: written by \`npm run docs\` from ${source} -->`;
  const end = '<!-- /benchmarks -->';
  const [before, rest] = text.split(start);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`no place for the table from ${source}`);
  return `${before}${start}\n${written}\n${machines(rows)}\n${end}${after}`;
}

function benchmarkTable(rows: readonly Row[]): string {
  const heading = [
    'checkpoint',
    'what',
    'seconds',
    'CPU-seconds',
    'peak memory',
    'read',
    'written',
    '÷ baseline',
  ];
  const body = rows.map((row) => [
    benchmarkCheckpoints[row.checkpoint ?? '']?.title ?? row.checkpoint ?? '',
    row.what ?? '',
    `${row.wall_s} (${row.wall_min_s}–${row.wall_max_s})`,
    row.cpu_s ?? '',
    withUnit(row.peak_rss_mb, 'MB'),
    withUnit(row.read_mb, 'MB'),
    withUnit(row.written_mb, 'MB'),
    row.what === row.baseline ? '1' : `${row.to_baseline} × ${row.baseline}`,
  ]);
  return table([heading, ...body]);
}

/** Whole numbers; nothing where nothing was measured. */
function withUnit(value: string | undefined, unit: string): string {
  return value ? `${Math.round(Number(value))} ${unit}` : '';
}

/** Where, when and how busy. */
function machines(rows: readonly Row[]): string {
  const all = rows.map(({ date, commit, cpu, cores, node, load, machine_load, runs, rounds }) => {
    const day = date?.slice(0, 10);
    const loaded = load === undefined ? `load after it ${machine_load}` : `load before it ${load}`;
    return `${day}, ${commit}, ${cpu}, ${cores} cores, Node ${node}, ${loaded}, ${runs ?? rounds} runs`;
  });
  return `${[...new Set(all)].map((each) => `- ${each}`).join('\n')}\n`;
}

const CONVERSIONS = ['ONNX', 'Core ML, chunks', 'both, chunks, Resources'] as const;
const COLOURS = ['#1f77b4', '#ff7f0e', '#2ca02c'] as const;
const [WIDTH, HEIGHT, LEFT, TOP] = [340, 220, 50, 40] as const;

/** A chart: CPU-seconds and peak memory of conversions by the size of the checkpoint. */
export function benchmarkChart(rows: readonly Row[]): string {
  const sizes = new Map(
    Object.entries(benchmarkCheckpoints).map(([name, each]) => [name, checkpointBytes(each) / 1e9]),
  );
  const series = (value: (row: Row) => number) =>
    CONVERSIONS.map((what) =>
      rows
        .filter((row) => row.what === what)
        .map((row): Point => ({ x: sizes.get(row.checkpoint ?? '') ?? 0, y: value(row) }))
        .toSorted((a, b) => a.x - b.x),
    );
  const panels = [
    panel(
      0,
      'CPU-seconds',
      series((row) => Number(row.cpu_s)),
      50,
    ),
    panel(
      WIDTH + 2 * LEFT,
      'peak memory, MB',
      series((row) => Number(row.peak_rss_mb)),
      300,
    ),
  ];
  const legend = CONVERSIONS.map(
    (what, at) => `<text x="${LEFT + 200 * at}" y="20" fill="${COLOURS[at]}">${what}</text>`,
  );
  const size = `width="${2 * (WIDTH + 2 * LEFT)}" height="${HEIGHT + 2 * TOP + 10}"`;
  const style = 'font-family="sans-serif" font-size="12"';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${style}>\n${[
    '<title>CPU-seconds and peak memory of conversions, by the size of the checkpoint</title>',
    '<rect width="100%" height="100%" fill="white"/>',
    ...legend,
    ...panels,
  ].join('\n')}\n</svg>\n`;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Axes from 0 to 12 GB and to at least `least`, and a line for each series. */
function panel(left: number, title: string, series: readonly (readonly Point[])[], least: number): string {
  const highest = Math.max(least, ...series.flat().map(({ y }) => y));
  const [x0, y0] = [left + LEFT, TOP + HEIGHT];
  const at = ({ x, y }: Point): string =>
    `${(x0 + (x / 12) * WIDTH).toFixed(1)},${(y0 - (y / highest) * HEIGHT).toFixed(1)}`;
  const lines = series.flatMap((points, index) => [
    `<polyline fill="none" stroke="${COLOURS[index]}" points="${points.map(at).join(' ')}"/>`,
    ...points.map((point) => {
      const [cx, cy] = at(point).split(',');
      return `<circle cx="${cx}" cy="${cy}" r="3" fill="${COLOURS[index]}"/>`;
    }),
  ]);
  const xTicks = [0, 2, 4, 6, 8, 10, 12].map(
    (x) => `<text x="${x0 + (x / 12) * WIDTH}" y="${y0 + 16}" text-anchor="middle">${x}</text>`,
  );
  const yTicks = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<text x="${x0 - 6}" y="${y0 - share * HEIGHT + 4}" text-anchor="end">${Math.round(share * highest)}</text>`,
  );
  return [
    `<path d="M${x0},${TOP} V${y0} H${x0 + WIDTH}" fill="none" stroke="black"/>`,
    `<text x="${x0 + 8}" y="${TOP + 8}">${title}</text>`,
    `<text x="${x0 + WIDTH}" y="${y0 + 32}" text-anchor="end">GB of the checkpoint</text>`,
    ...xTicks,
    ...yTicks,
    ...lines,
  ].join('\n');
}
