/**
 * Measures how long the built command takes to print its help, beside Node doing nothing: the median of 20 pairs, so that
 * what else the machine does falls on both. Prints the ratio and appends to benchmarks/results/start-up.csv.
 *
 *     npm run build && npm run bench:start-up
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { appendRows, circumstances } from './results-file.ts';
import { median } from './statistics.ts';

const PAIRS = 20;

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const help = [path('../bin/sdconvert.js'), '--help'];
const nothing = ['-e', '0'];

if (!existsSync(path('../dist/js/main.js'))) throw new Error('not built: npm run build');
for (const args of [nothing, help]) milliseconds(args); // so that the disk's cache has both

const pairs = Array.from({ length: PAIRS }, () => [milliseconds(nothing), milliseconds(help)] as const);
const node = median(pairs.map(([alone]) => alone));
const sdconvert = median(pairs.map(([, ours]) => ours));
const ratio = (sdconvert / node).toFixed(2);
appendRows(path('results/start-up.csv'), [
  { ...circumstances(), pairs: PAIRS, node_ms: node.toFixed(1), help_ms: sdconvert.toFixed(1), ratio },
]);
console.log(`sdconvert --help ${sdconvert.toFixed(1)} ms, node -e 0 ${node.toFixed(1)} ms: ${ratio} ×`);

/** How long Node takes with these arguments. Throws when it fails. */
function milliseconds(args: readonly string[]): number {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`node ${args.join(' ')} failed with exit code ${status}`);
  return performance.now() - start;
}
