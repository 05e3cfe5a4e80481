/**
 * Converts 50 small checkpoints, made from seeds, into two variants each, with faults in four of them: a truncated file, a wrong
 * checksum, a full disk, a floor that is missed. Then again with the faults mended, and again with nothing left to do. Throws
 * unless every good item is done, every bad one is named, and the last run takes less than 3 s; appends to
 * benchmarks/results/batch.csv. Needs Linux, where an ordinary user may mount a small disk (`unshare -rm`).
 *
 *     npm run build && npm run bench:batch [-- --checkpoints 50 --jobs 2]
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ItemResult } from '../src/fleet/batch.ts';
import { alignColumns } from '../src/text.ts';
import { makeSeededCheckpoint } from '../test/support/seeded-checkpoint.ts';
import { appendRows, circumstances, type Row } from './results-file.ts';

/** The longest that a run with nothing to do may take, in seconds: the fastest of several, on a machine that does more. */
const NOTHING_SECONDS = 3;
const AGAIN = 3;

const unet = 'unet/diffusion_pytorch_model.safetensors';
const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const command = path('../bin/sdconvert.js');
if (!existsSync(path('../dist/js/main.js'))) throw new Error('not built: npm run build');

const { values: options } = parseArgs({
  options: {
    checkpoints: { type: 'string', default: '50' },
    jobs: { type: 'string', default: '2' },
  },
});
const number = Number(options.checkpoints);
const folder = mkdtempSync(join(tmpdir(), 'sdconvert-batch-'));
const names = Array.from({ length: number }, (_, seed) => `seed-${seed}`);
const [truncated = '', mistaken = '', full = '', strict = ''] = names;

try {
  for (const [seed, name] of names.entries()) await makeSeededCheckpoint(join(folder, name), seed);
  cpSync(join(folder, truncated, unet), join(folder, 'whole'));

  truncateSync(join(folder, truncated, unet), 50_000);
  writeManifest({ [mistaken]: { sha256: { [unet]: '0'.repeat(64) } } });
  const faulty = run('with faults', { fullDisk: join(folder, 'converted', full) });
  const bad = { [truncated]: 'FileFormatError', [mistaken]: 'FileFormatError', [full]: 'DiskSpaceError' };
  for (const { item, verdict, error } of faulty.results) {
    const [checkpoint = '', variant] = item.split('/');
    const expected = bad[checkpoint] ?? (variant === 'strict' ? 'below the floor' : 'pass');
    const found = error ? error.name : verdict;
    if (found !== expected) throw new Error(`${item}: ${expected} was expected, and it is ${found}`);
  }

  cpSync(join(folder, 'whole'), join(folder, truncated, unet));
  writeManifest({});
  const mended = run('mended');
  demand(
    mended.results.every(({ verdict, item }) => (verdict === 'pass') !== item.endsWith('/strict')),
    'all pass',
  );
  demand(mended.results.filter(({ reused }) => !reused).length === 6, 'only what had failed is converted');
  const [nothing = mended] = Array.from({ length: AGAIN }, () => run('again')).toSorted(
    (a, b) => a.seconds - b.seconds,
  );
  demand(
    nothing.results.every(({ reused }) => reused),
    'nothing is converted again',
  );
  const rows = [faulty, mended, nothing].map(rowOf);
  appendRows(path('results/batch.csv'), rows);
  console.log(
    alignColumns([Object.keys(rows[0] ?? {}), ...rows.map((row) => Object.values(row).map(String))]),
  );
  demand(nothing.seconds < NOTHING_SECONDS, `nothing takes less than ${NOTHING_SECONDS} s`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The manifest: two variants of every checkpoint, and more about some of them. */
function writeManifest(more: Readonly<Record<string, object>>): void {
  const sources = names.map((name) => ({
    source: name,
    variants: name === strict ? ['float16', 'strict'] : ['float16', 'palette'],
    ...more[name],
  }));
  const variants = {
    float16: { floor: 40 },
    palette: { bits: 4, floor: 5 },
    strict: { bits: 1, floor: 60 },
  };
  const manifest = { options: { targets: ['onnx'] }, variants, sources };
  writeFileSync(join(folder, 'batch.json'), JSON.stringify(manifest));
}

interface Ran {
  readonly what: string;
  readonly seconds: number;
  readonly results: readonly ItemResult[];
}

/** Runs the batch, in a place where one folder is a disk of 64 kB. */
function run(what: string, { fullDisk }: { readonly fullDisk?: string } = {}): Ran {
  const batch = [
    process.execPath,
    command,
    'batch',
    join(folder, 'batch.json'),
    '--jobs',
    options.jobs,
    '--json',
  ];
  const onSmallDisk = 'mkdir -p "$1" && mount -t tmpfs -o size=64k tmpfs "$1" && shift && exec "$@"';
  const [program = '', ...args] =
    fullDisk === undefined ? batch : ['unshare', '-rm', 'sh', '-c', onSmallDisk, 'sh', fullDisk, ...batch];
  const start = performance.now();
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const seconds = (performance.now() - start) / 1000;
  const lines = stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const results: ItemResult[] = lines.filter(({ event }) => event === 'result').map(({ result }) => result);
  if (results.length !== 2 * number)
    throw new Error(`${results.length} results: ${stderr}${stdout.slice(-2000)}`);
  return { what, seconds, results };
}

function demand(isMet: boolean, what: string): void {
  if (!isMet) throw new Error(`not so: ${what}`);
}

function rowOf({ what, seconds, results }: Ran): Row {
  const those = (verdict: ItemResult['verdict']): number =>
    results.filter((each) => each.verdict === verdict).length;
  const own = results.filter(({ reused }) => !reused);
  return {
    ...circumstances(),
    what,
    items: results.length,
    jobs: options.jobs,
    pass: those('pass'),
    below_floor: those('below the floor'),
    failed: those('failed'),
    reused: results.length - own.length,
    wall_s: seconds.toFixed(2),
    item_s: own.reduce((sum, each) => sum + each.seconds, 0).toFixed(2),
    peak_rss_mb: (Math.max(0, ...own.map(({ memoryBytes = 0 }) => memoryBytes)) / 1e6).toFixed(1),
    bytes: results.reduce((sum, each) => sum + each.bytes, 0),
  };
}
