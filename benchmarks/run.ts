/**
 * Measures what matters to somebody with a real checkpoint and a small machine: the time and memory of a conversion at
 * Stable Diffusion 1.5's real sizes, beside the time it takes to copy the same files, and how long its graphs take to
 * build. Prints tables and appends to benchmarks/results/.
 *
 *     npm run bench [-- --checkpoint DIR] [--keep]
 *
 * Without --checkpoint, one with random weights is made (4.3 GB) and removed afterwards, unless --keep is given.
 * Temporary files go where TMPDIR says: about three times the checkpoint's size.
 */
import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { attentionImplementations } from '../src/convert/blocks/attention.ts';
import { alignColumns } from '../src/text.ts';
import { measure, type Usage } from './measure.ts';
import { appendRows, circumstances, type Row } from './results-file.ts';

/** Each is measured this often, in turns; the fastest counts, for what is slower was disturbed. */
const ROUNDS = 3;

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const convert = [script('../cli/main.ts'), 'convert', '--quiet'];

const conversions: Readonly<Record<string, readonly string[]>> = {
  'ONNX, float16': ['--target', 'onnx'],
  'ONNX, float16, chunks, SPLIT_EINSUM': ['--target', 'onnx', '--chunk-unet', '--attention', 'SPLIT_EINSUM'],
  'ONNX, float16-weights': ['--target', 'onnx', '--precision', 'float16-weights'],
  'ONNX, float32': ['--target', 'onnx', '--precision', 'float32'],
  'Core ML, float16, chunks, Resources': ['--target', 'coreml', '--chunk-unet'],
  'both, float16, chunks (default)': ['--chunk-unet'],
  'Core ML, UNet alone, palettes of 6 bits': [
    '--target',
    'coreml',
    '--convert-unet',
    '--no-bundle',
    '--quantize-nbits',
    '6',
  ],
};

const results = (name: string): string => script(`results/${name}.csv`);

const { values: options } = parseArgs({
  options: { checkpoint: { type: 'string' }, keep: { type: 'boolean', default: false } },
});
const stop = new AbortController();
process.on('SIGINT', () => stop.abort()).on('SIGTERM', () => stop.abort());
const temporary = mkdtempSync(join(tmpdir(), 'sdconvert-bench-'));
try {
  await main();
} catch (error) {
  if (!stop.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  const kept = options.keep && !options.checkpoint;
  rmSync(kept ? join(temporary, 'output') : temporary, { recursive: true, force: true });
  if (kept) console.log(`Kept: ${join(temporary, 'sd15')}`);
}

async function main(): Promise<void> {
  const here = circumstances();
  const graphs = await measureGraphs();
  appendRows(
    results('graphs'),
    graphs.map((row) => ({ ...here, ...row })),
  );
  print(graphs);

  const made = join(temporary, 'sd15');
  if (!options.checkpoint) await measure([script('make-full-size-checkpoint.ts'), made], stop.signal);
  const conversionRows = await measureConversions(resolve(options.checkpoint ?? made));
  appendRows(
    results('convert'),
    conversionRows.map((row) => ({ ...here, ...row })),
  );
  print(conversionRows);
}

/** Each in a process of its own, so that none finds the code warm. */
async function measureGraphs(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const model of ['sd15', 'sd21']) {
    for (const attention of attentionImplementations) {
      const { stdout, peakRss } = await measure([script('build-graphs.ts'), model, attention], stop.signal);
      const { seconds, graphs, tensors } = JSON.parse(stdout);
      rows.push({
        model,
        attention,
        graphs,
        tensors,
        build_s: seconds.toFixed(3),
        peak_rss_mb: inMegabytes(peakRss),
      });
    }
  }
  return rows;
}

async function measureConversions(checkpoint: string): Promise<Row[]> {
  const output = join(temporary, 'output');
  const works: Record<string, readonly string[]> = {
    'copy (copyFile)': [script('copy-files.ts'), 'copyFile', checkpoint, output],
    'copy (read and write)': [script('copy-files.ts'), 'loop', checkpoint, output],
  };
  for (const [name, flags] of Object.entries(conversions)) {
    works[name] = [...convert, '--model-version', checkpoint, '-o', output, ...flags];
  }

  await measure([script('copy-files.ts'), 'read', checkpoint], stop.signal);
  const best = new Map<string, Usage & { readonly written: number }>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, args] of Object.entries(works)) {
      execFileSync('sync'); // what the one before wrote must not be on this one's bill
      const usage = await measure(args, stop.signal);
      const before = best.get(name) ?? usage;
      const peakRss = Math.max(usage.peakRss, before.peakRss);
      best.set(name, { ...(usage.wall <= before.wall ? usage : before), peakRss, written: bytesIn(output) });
      rmSync(output, { recursive: true });
      console.error(`round ${round + 1} of ${ROUNDS}  ${name}  ${usage.wall.toFixed(1)} s`);
    }
  }

  const read = bytesIn(checkpoint);
  const wallOf = (name: string): number => best.get(name)?.wall ?? Number.NaN;
  return [...best].map(([what, { wall, user, system, peakRss, written }]) => ({
    checkpoint: basename(checkpoint),
    what,
    read_mb: inMegabytes(read),
    written_mb: inMegabytes(written),
    wall_s: wall.toFixed(2),
    user_s: user.toFixed(2),
    system_s: system.toFixed(2),
    peak_rss_mb: inMegabytes(peakRss),
    to_copyfile: (wall / wallOf('copy (copyFile)')).toFixed(2),
    to_read_and_write: (wall / wallOf('copy (read and write)')).toFixed(2),
  }));
}

function bytesIn(folder: string): number {
  const paths = globSync(`${folder}/**`).map((path) => statSync(path));
  return paths.reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);
}

function inMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function print(rows: readonly Row[]): void {
  const cells = rows.map((row) => Object.values(row).map(String));
  console.log(`\n${alignColumns([Object.keys(rows[0] ?? {}), ...cells])}\n`);
}
